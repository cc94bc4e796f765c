"""Tuya: everything that knows tinytuya.

`transport` reads a meter over the LAN (`lan`), with `address = "auto"` wherever it is
(`discovery`), or through the cloud (`cloud`), which may also know a newer local key. `simulator`
is the other side: a meter that measures a simulated house. All get tinytuya through
`tinytuya_import`.
"""

import logging

# At debug level tinytuya logs keys and payloads, and encrypts with a constant nonce.
logging.getLogger("tinytuya").setLevel(logging.INFO)
