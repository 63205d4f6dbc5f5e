"""A kernel whose port another program took is started again; what fails later is not."""

import os
import socket

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from course_utils.classroom import kernels


class Late(kernels.Client):
    """The first `late` kernels get a port that is in use."""

    late = 1

    def create_kernel_manager(self):
        manager = super().create_kernel_manager()
        if self.starts < self.late:
            manager.cache_ports, manager.shell_port = False, self.taken
        return manager


@pytest.fixture
def client(request):
    with socket.create_server(("127.0.0.1", 0)) as server:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(request.param)])
        client = Late(book, kernel_name="python3", timeout=60)
        client.taken = server.getsockname()[1]
        yield client


@pytest.mark.parametrize("client", ["import os; print(os.environ['GIVEN'])"], indirect=True)
def test_a_start_is_tried_again_with_the_same_environment(client):
    book = client.execute(env=os.environ | {"GIVEN": "here"})
    assert book.cells[0].outputs[0].text == "here\n"
    assert client.starts == 2


@pytest.mark.parametrize("client", [""], indirect=True)
def test_not_for_ever(client):
    client.late = kernels.STARTS
    with pytest.raises(RuntimeError, match="Kernel died before replying"):
        client.execute()
    assert client.starts == kernels.STARTS


@pytest.mark.parametrize("client", ["raise ValueError"], indirect=True)
def test_a_cell_is_run_once(client):
    client.late = 0
    with pytest.raises(CellExecutionError):
        client.execute()
    assert client.starts == 1
