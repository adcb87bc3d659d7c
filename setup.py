"""Packages of the wheel: those in medcyclegan/, and configs/ as data inside of it.

All else is in pyproject.toml, which cannot say both "find the packages" and "add this folder".
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["medcyclegan*"]), "medcyclegan.configs"],
    package_dir={"medcyclegan.configs": "configs"},
)
