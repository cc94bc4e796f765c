"""The page: what the meters measure now, their history, and everything that can be changed."""
