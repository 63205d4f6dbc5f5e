"""Run a notebook in a kernel of its own, whose start is tried again where it fails.

A kernel's ports are picked before it opens them, so among many that start at once another can be faster: one
start in 40 fails ("Address already in use"), and the kernel ends before it has run anything.
"""

import atexit
from typing import Any

from nbclient import NotebookClient

STARTS = 3


class Client(NotebookClient):
    """nbclient's, that starts a kernel up to `STARTS` times; `starts` says how often it did.

    Raises what nbclient raises at the last start. Once a kernel has answered, nothing is tried again.
    """

    starts = 0

    async def async_start_new_kernel(self, **options: Any) -> None:
        """Start the kernel, and note how, for another start."""
        self._options = options
        self.starts += 1
        await super().async_start_new_kernel(**options)

    async def async_start_new_kernel_client(self) -> Any:
        """The client of a kernel that answers; of a new kernel on new ports where one does not."""
        while True:
            try:
                return await super().async_start_new_kernel_client()
            except RuntimeError:  # the kernel died, and nbclient has cleaned up
                if self.starts == STARTS:
                    atexit.unregister(self._cleanup_kernel)  # nbclient's, for a kernel that is there
                    raise
                self.km = self.create_kernel_manager()
                await self.async_start_new_kernel(**self._options)
