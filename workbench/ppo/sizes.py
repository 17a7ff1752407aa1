"""Bytes in words."""


def size(count: float) -> str:
    """Return 640 MiB or 1.4 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 0.95 * 2**30 else f"{count / 2**20:.0f} MiB"
