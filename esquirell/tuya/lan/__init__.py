"""The Tuya LAN protocol.

`codec` (frames) and `session` (questions and answers) do no I/O. `loop` is the thread that holds
all lines. `exchange` talks over one of them, `reader` finds the right protocol, and `device`
serves reads one after the other and holds the line between them. `datapoints` keeps what a meter
said, `access` how long it is left alone. All of it runs in the loop's thread.
"""
