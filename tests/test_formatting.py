import pytest

from workbench.formatting import difference, format_speed, number, percent


@pytest.mark.parametrize(("speed", "text"), [
    (1204.4, "1,204"), (81.2, "81"), (9.46, "9.5"), (0.29, "0.29"), (0.0004, "0.0004")])
def test_a_slow_model_has_a_speed(speed, text):
    assert format_speed(speed) == f"{text} tokens/s"


@pytest.mark.parametrize(("share", "text"), [
    (0.0004, "<0.1"), (0.004, "0.4"), (0.0951, "9.5"), (0.1113, "11"), (1, "100"), (-0.2, "−20")])
def test_a_share_is_a_percentage(share, text):
    assert percent(share) == f"{text}\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(("before", "after", "between"), [
    (-0.366, 1.1351, "+1.51"), (0.2349, 0.3751, "+0.15"), (0.2349, 0.2351, "+0.01"),
    (1.0, -0.25, "−1.25"), (0.004, -0.004, "0.00"), (-1200.0, 34.5, "+1,234.50"),
    (float("nan"), 1.0, "")])
def test_a_difference_is_that_of_its_ends_as_they_are_written(before, after, between):
    assert difference(number(before), number(after)) == between


def test_ends_may_have_other_digits():
    assert difference("0.0042", "12,400") == "+12,399.9958"
    assert difference("−4.2e-5", "0") == "+0.000042"
    assert difference("1.0", "–") == ""
