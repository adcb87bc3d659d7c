"""``python -m medcyclegan``."""

from medcyclegan.cli import main

if __name__ == "__main__":
    main()
