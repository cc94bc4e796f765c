"""Tuya: everything that knows tinytuya.

A read passes through `transport`, which chooses the way. With `address = "auto"` `following` asks
at the last of `addresses`, or lets `finder` search with a `listener`; `keys` may bring a newer key.
`cloud` asks Tuya's servers through `cloud_api`, within the budget of `account`. On the LAN a read
goes on through `local` (all meters), `link` (one meter: its turn, lock and cool-down),
`reader` (which protocol), `caller` (the connection), `conversation` (question and answer) and
`line` (bytes and time limits). They all get tinytuya through `lean`. `errors` turns what was seen
there into the contract's reasons. `simulator`, on `wire`, is the other side: a meter, measuring a
`house`.
"""

import logging

# At debug level tinytuya logs keys and payloads, and encrypts with a constant nonce.
logging.getLogger("tinytuya").setLevel(logging.INFO)
