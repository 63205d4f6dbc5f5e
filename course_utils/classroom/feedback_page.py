"""nbgrader's feedback page with the exercises' titles, in one file that loads nothing from another host.

nbgrader calls every exercise "Test cell" and takes MathJax 2 from a CDN. Here MathJax 3 (Apache-2.0) stands
in the page, out of the package that `slides` takes it from, so that the page alone can be sent to a learner.
What a student's own text may hold, such as a picture from elsewhere or a script, a Content-Security-Policy
keeps from being loaded or run.
"""

import base64
import hashlib
import html
import pathlib
import re
from typing import Any

from nbconvert.exporters import HTMLExporter

from course_utils.classroom import slides
from course_utils.package_files import package_file

SETTINGS = """
MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true},
  options: {enableMenu: false}
};
"""
CDN = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)


class Page(HTMLExporter):
    """nbconvert's exporter for feedback, with `titles`, {"check-4-2": "4.2 Huber loss"}."""

    titles: dict[str, str]

    def from_notebook_node(self, nb: Any, resources: Any = None, **options: Any) -> tuple[str, Any]:
        """The page, in which nothing refers to another host, and nbconvert's resources."""
        page, resources = super().from_notebook_node(nb, resources, **options)
        return finished(page, self.titles), resources


def finished(page: str, titles: dict[str, str]) -> str:
    """nbgrader's `page` with the titles {"check-4-2": "4.2 Huber loss"}, MathJax inside, and a policy.

    Raises `CourseError` where the package with MathJax is missing or other than expected.
    """
    (package, version, folder), name, sha256 = slides.MATHJAX_TEX
    library = pathlib.Path(package_file(package, version, f"{folder}/{name}", sha256))
    scripts = [SETTINGS, library.read_text(encoding="utf8")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "font-src data:; form-action 'none'; base-uri 'none'"
    )
    inside = "\n".join(f"<script>{text}</script>" for text in scripts)
    page = CDN.sub(lambda _: inside, page, count=1)
    page = page.replace(
        "<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}"/>', 1
    )
    for name, title in titles.items():
        shown = html.escape(title)
        page = page.replace(f'<a href="#{name}">Test cell</a>', f'<a href="#{name}">{shown}</a>')
        page = page.replace(f"Grade cell: <code>{name}</code>", shown)
    return page
