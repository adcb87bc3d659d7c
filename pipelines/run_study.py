"""Run a study that one YAML file describes: make the synthetic CTs, score them, write the report.

    python pipelines/run_study.py pipelines/study.yaml

``study.yaml`` beside this script is a template. Started again, it makes only the synthetic CTs that
are missing. MRs that are refused are named with the reason; the others are done all the same.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from medcyclegan import __version__, load_model, read_scan, synthesize, write_scan
from medcyclegan.errors import ExitCode, InputRefused, MedcycleganError
from medcyclegan.evaluation.metrics import Protocol
from medcyclegan.evaluation.study.plan import Method, StudyRequest, find_images
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.training.settings import read_settings


class MethodConfig(BaseModel):
    """Where a method's synthetic CTs come from: a model that makes them, or a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str | None = None
    folder: Path | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> MethodConfig:
        if (self.model is None) == (self.folder is None):
            raise ValueError("a method has either 'model' or 'folder'")
        return self


class StudyConfig(BaseModel):
    """The YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: Protocol
    ref: Path
    mr: Path | None = None
    mask: Path = Path("auto")
    groups: Path | None = None
    methods: dict[str, MethodConfig]
    made: Path = Path("made")
    out: Path


def make_sct(model_name: str, mr_folder: Path, target: Path) -> None:
    """Convert every MR of a folder that is not converted yet."""
    model = load_model(model_name)
    target.mkdir(parents=True, exist_ok=True)
    for case, path in find_images(mr_folder, role="mr").by_case.items():
        out = target / f"{case.replace('/', '_')}_sct.nii.gz"
        if out.exists():
            continue
        try:
            result = synthesize(read_scan(path, modality="MR"), model)
        except InputRefused as error:
            print(f"refused: {error}")
            continue
        # NIfTI whatever the MR was: a study needs voxels and their place, no DICOM header.
        write_scan(result.image, source_header=ItkSourceHeader(), to=out)
        print(out)


def run_study(path: Path) -> int:
    """Make what is to be made, score it, and return the exit code."""
    config = read_settings(path, StudyConfig)
    here = path.parent
    methods = []
    for name, method in config.methods.items():
        if method.folder is not None:
            methods.append(Method(name, here / method.folder))
            continue
        if config.mr is None:
            raise SystemExit(f"{path}: the method {name} has a model, so 'mr' must be given")
        own = Path(method.model or "")
        model = str(here / own) if (here / own).is_dir() else str(own)
        made = here / config.made / name
        make_sct(model, here / config.mr, made)
        methods.append(Method(name, made))
    request = StudyRequest(
        methods=tuple(methods),
        ref=here / config.ref,
        out=here / config.out,
        protocol=config.protocol,
        mask=None if config.mask == Path("auto") else here / config.mask,
        mr=here / config.mr if config.mr else None,
        groups=here / config.groups if config.groups else None,
    )
    study = evaluate_study(request, version=__version__, now=datetime.now().astimezone())
    for refusal in (*study.unmatched, *study.refused):
        print(f"not scored: {refusal.case} of {refusal.method}: {refusal.reason}")
    print(request.out / "report.html")
    return ExitCode.SOME_REFUSED if study.unmatched or study.refused else ExitCode.DONE


if __name__ == "__main__":
    try:
        sys.exit(run_study(Path(sys.argv[1])))
    except MedcycleganError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
