from contracts.errors import split_fix, with_fix


def test_a_fix_travels_with_its_message() -> None:
    text = with_fix("EC2 refused: InvalidAMIID.NotFound", "choose another image")
    assert text == "EC2 refused: InvalidAMIID.NotFound. Fix: choose another image"
    assert split_fix(text) == ("EC2 refused: InvalidAMIID.NotFound", "choose another image")


def test_what_came_without_a_fix_stays_whole() -> None:
    assert split_fix("the run took too long.") == ("the run took too long.", "")
