"""The pages: what each shows and which commands it has."""
