"""The secret of the Ray clusters that tests start: one, since a process reads it once and may start several."""

import secrets

RAY_TOKEN = secrets.token_hex(16)
