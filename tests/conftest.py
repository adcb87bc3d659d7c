"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell starts jobs in the background with Ctrl-C ignored, and the processes that tests start
# would inherit that: those that are to be stopped by it would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
