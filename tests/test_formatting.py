import pytest

from workbench.formatting import format_speed


@pytest.mark.parametrize(("speed", "text"), [
    (1204.4, "1,204"), (81.2, "81"), (9.46, "9.5"), (0.29, "0.29"), (0.0004, "0.0004")])
def test_a_slow_model_has_a_speed(speed, text):
    assert format_speed(speed) == f"{text} tokens/s"
