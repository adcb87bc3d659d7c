"""Many scans: what a tree holds, what is done with it, and the record of how it went."""
