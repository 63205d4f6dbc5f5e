"""What the course writes down of each data set that it uses."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Source:
    """A ledger entry: what a data set is, where it comes from, and how it is known to be the right one."""

    package: str
    version: str
    file: str
    sha256: str
    rows: int
    licence: str
    checked: str  # the day on which file, licence and rows were read
    hub: str = ""  # the same data on Hugging Face's hub, where a lesson may take it from there
    revision: str = ""  # the hub's commit
