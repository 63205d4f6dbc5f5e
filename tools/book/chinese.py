"""Chinese in the book's search: Sphinx 9.0's own finds nothing in the browser."""

import pathlib

import jieba
from sphinx.search.zh import SearchChinese

jieba.setLogLevel("WARNING")
# Its cache: not in /tmp, which others write to.
jieba.dt.tmp_dir = str(pathlib.Path(__file__).resolve().parents[2] / "build")


class Chinese(SearchChinese):
    """Sphinx's index by jieba, with what the browser lacks to look something up in it.

    `language_name` names the stemmer in the browser; there is no `ChineseStemmer`. Latin words are stemmed
    as English (https://github.com/sphinx-doc/sphinx/issues/14229, repaired after 9.0). And a query has no
    spaces to be split at: it is cut into the longest words that the index has.
    """

    language_name = "English"
    js_splitter_code = r"""
const cutChinese = (run) => {
  const words = [];
  const known = (word) => word in Search._index.terms || word in Search._index.titleterms;
  for (let start = 0, end; start < run.length; start = end) {
    for (end = run.length; end > start + 1 && !known(run.slice(start, end)); end--);
    if (end > start + 1) words.push(run.slice(start, end));
  }
  return words.length ? words : [run];
};
var splitQuery = (query) =>
  (query.match(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{Letter}\p{Number}_])+/gu) ?? []).flatMap((part) =>
    /\p{Script=Han}/u.test(part) ? cutChinese(part) : [part],
  );
"""
