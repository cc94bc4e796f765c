"""The page: what the meters say now and before, and everything that can be changed about it."""
