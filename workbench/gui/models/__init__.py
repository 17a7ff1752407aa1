"""The Models dock: policy, reward and its parts."""
