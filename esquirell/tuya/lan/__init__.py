"""The Tuya LAN protocol.

`codec` (frames) and `session` (queries and answers) do no I/O. `loop` is the thread of all
connections ("lines"). `exchange` talks over one of them, `reader` finds the right protocol, and
`device` serves reads one after the other and keeps the line open between them. `datapoints`
holds what a meter sent, `access` decides when it may be read. All of it runs in the loop's
thread.
"""
