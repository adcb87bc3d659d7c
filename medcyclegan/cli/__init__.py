"""The command line: the only room that prints.

Modules here import the rest of the package inside functions, so that ``--help`` stays instant.
"""

from medcyclegan.cli.main import main

__all__ = ["main"]
