import pytest

from workbench.formatting import format_speed, percent


@pytest.mark.parametrize(("speed", "text"), [
    (1204.4, "1,204"), (81.2, "81"), (9.46, "9.5"), (0.29, "0.29"), (0.0004, "0.0004")])
def test_a_slow_model_has_a_speed(speed, text):
    assert format_speed(speed) == f"{text} tokens/s"


@pytest.mark.parametrize(("share", "text"), [
    (0.0004, "<0.1"), (0.004, "0.4"), (0.0951, "9.5"), (0.1113, "11"), (1, "100"), (-0.2, "−20")])
def test_a_share_is_a_percentage(share, text):
    assert percent(share) == f"{text}\N{NO-BREAK SPACE}%"
