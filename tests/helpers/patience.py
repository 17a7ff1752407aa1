"""How long a test waits for what must come: a backstop that ends a test which hangs, far from what
anything takes on the busiest machine. No test passes or fails for its speed."""

SECONDS = 600.0
