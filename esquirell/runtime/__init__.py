"""The composition root: the only place that builds adapters. Import its modules one by one."""
