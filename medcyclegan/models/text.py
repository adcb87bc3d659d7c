"""Text as it may stand on a card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

# No control characters but line breaks: cards are printed, and a terminal obeys some of them.
PRINTABLE = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
Text = Annotated[str, Field(min_length=1, pattern=PRINTABLE)]
# Goes into DICOM and names of folders.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]*$", max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
