"""A hundred addresses hold every slot open, in each phase of a session, and an honest mail passes within a minute."""

import pytest

import test_hostile_clients as hostile

MIXED = (0, 1, 2, 3, 4, hostile.CHAT, hostile.HANDSHAKE)


@pytest.fixture(scope="module")
def box(make_box, board, office):
    box = make_box(board=board)
    yield box
    assert box.json("status")["reset"] == "power-on"
    assert "Sanitizer" not in box.errors()
    box.stop()


@pytest.mark.boards("posix")
@pytest.mark.parametrize("phases", [(4,), (hostile.CHAT,)], ids=["data", "chat"])
def test_a_hundred_of_a_kind(box, office, phases):
    hostile.besiege(box, office, phases)


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_a_hundred_of_all_kinds(box, office):
    hostile.besiege(box, office, MIXED)
