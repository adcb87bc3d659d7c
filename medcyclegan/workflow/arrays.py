"""Images in memory: numpy arrays with an affine, MONAI's MetaTensors, and a MONAI transform.

A file is read into a ``Scan``, which tells all of it. Who has an image in memory gives the voxels
and their affine, and gets the like back: an array for an array, a MetaTensor for a MetaTensor. What
was noticed is logged (logger ``medcyclegan``), and stands in the MetaTensor's ``meta``.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.task import MODALITIES, Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.inference.sliding_slabs import DeviceName, Progress
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.io.voxel_rules import check_shape, mend_voxels, to_float32
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.synthesize import Options, Synthesis
from medcyclegan.workflow.synthesize import synthesize as synthesize_scan

_log = logging.getLogger(__name__)

Array = NDArray[Any]
# Keys of a result's ``meta``; strings alone, which MONAI's batches hold whatever is in them.
MODEL_KEY, WEIGHTS_KEY = "medcyclegan_model", "medcyclegan_weights_sha256"
WARNINGS_KEY, DOUBTS_KEY = "medcyclegan_warnings", "medcyclegan_doubts"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_VOLUMES = MODALITIES[:2]  # MR and CT


@overload
def synthesize(
    image: Scan,
    model: Model,
    *,
    options: Options | None = ...,
    progress: Progress | None = ...,
    turn: AbstractContextManager[object] | None = ...,
) -> Synthesis: ...


@overload
def synthesize(
    image: MetaTensor,
    model: Model,
    *,
    options: Options | None = ...,
    progress: Progress | None = ...,
    turn: AbstractContextManager[object] | None = ...,
) -> Any: ...


@overload
def synthesize(
    image: Array,
    model: Model,
    *,
    affine_ras: Array,
    options: Options | None = ...,
    progress: Progress | None = ...,
    turn: AbstractContextManager[object] | None = ...,
) -> NDArray[np.float32]: ...


def synthesize(
    image: Scan | Array | MetaTensor,
    model: Model,
    *,
    affine_ras: Array | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> Any:
    """Translate a scan, an array or a MetaTensor with a model, on exactly its grid.

    Parameters
    ----------
    image:
        A ``Scan``, as ``read_scan`` gives it; or voxels (i, j, k), or (C, i, j, k) with the images
        of the subject that the model takes, in its order: an array of real numbers, or a MetaTensor
        with its affine.
    affine_ras:
        (4, 4), voxel indices to RAS millimetres; for an array alone.
    options, progress, turn:
        As ``medcyclegan.workflow.synthesize.synthesize`` has them.

    Returns
    -------
    A ``Synthesis`` for a scan, which tells all that was noticed. For an array or a MetaTensor its
    like: float32 in the unit of the model's target, HU not rounded, (1, i, j, k) if the input had
    an axis for channels. A MetaTensor keeps its ``meta``, with what was noticed added.

    Raises
    ------
    UsageError
        If there is no affine for an array, or one for what has its own.
    InputRefused
        If the voxels or the affine cannot be those of an image, or not of one for this model.
    DeviceError
        If the device is not there or its memory does not suffice.
    """
    has_own = isinstance(image, Scan | MetaTensor)
    if has_own != (affine_ras is None):
        raise UsageError(
            f"synthesize of a {type(image).__name__} {'with' if has_own else 'without'} affine_ras",
            rule="an array needs an affine_ras, a scan and a MetaTensor have their own",
            remedy="leave it out" if has_own else "give affine_ras, (4, 4) in RAS millimetres",
        )
    if isinstance(image, Scan):
        scan, voxels = image, None
    elif isinstance(image, MetaTensor):
        voxels = image.detach().cpu().as_tensor().numpy()
        scan = _scan_of_tensor(image, voxels, model.task)
    else:
        voxels = np.asarray(image)
        scan = scan_of_array(voxels, affine_ras=np.asarray(affine_ras), task=model.task)
    result = synthesize_scan(scan, model, options=options, progress=progress, turn=turn)
    if voxels is None:
        return result
    for warning in result.warnings:
        _log.warning("%s: %s", scan.source, warning)
    made = np.array(result.image.voxels)
    made = made[None] if voxels.ndim == 4 else made
    return _like(image, made, result, model) if isinstance(image, MetaTensor) else made


def scan_of_array(
    voxels: Array, *, affine_ras: Array, task: Task, name: str = "the array given"
) -> Scan:
    """Return voxels (i, j, k) or (C, i, j, k) in memory as the scan that a reader would give.

    NaN and infinity are replaced and refused by the rules for files. ``name`` is what messages call
    it.

    Raises
    ------
    InputRefused
        If it is no image of a volume, or the task's source is none.
    """
    source = Path(name)
    if task.source.modality not in _VOLUMES:
        raise InputRefused(
            f"{name} for a model of pictures or radiographs",
            rule="an array is a volume of MR or CT",
            remedy="read the picture from its file with read_scan",
        )
    if voxels.dtype.kind not in "iuf":
        raise InputRefused(
            f"{name}: values of type {voxels.dtype}",
            rule="voxels are real numbers",
            remedy="convert them to float32",
        )
    if voxels.ndim not in (3, 4):
        raise InputRefused(
            f"{name}: shape {voxels.shape}", rule="it is (i, j, k), or (C, i, j, k) of C images"
        )
    channels = voxels if voxels.ndim == 4 else voxels[None]
    scans = [_one_scan(one, affine_ras, task, source) for one in channels]
    if not scans:
        raise InputRefused(f"{name}: shape {voxels.shape}", rule="there is one image at least")
    return replace(scans[0], channels=tuple(scans[1:]))


def _one_scan(voxels: Array, affine_ras: Array, task: Task, source: Path) -> Scan:
    shape = check_shape(voxels.shape, source)
    # A copy, as what is not finite is replaced in place.
    own = np.array(to_float32(voxels, slope=1.0, intercept=0.0, path=source))
    said, mended = mend_voxels(own, source)
    volume = Volume(own, Geometry(shape, affine_ras), task.source.unit)
    return Scan(
        volume,
        ItkSourceHeader(),
        source,
        modality=task.source.modality,
        warnings=tuple(said),
        mended=mended,
    )


def _scan_of_tensor(image: MetaTensor, voxels: Array, task: Task) -> Scan:
    """The scan of a MetaTensor."""
    name = image.meta.get(ImageMetaKey.FILENAME_OR_OBJ) if image.meta else None
    name = name if isinstance(name, str) and name else "the MetaTensor given"
    affine = _affine_ras(image, name)
    scan = scan_of_array(voxels, affine_ras=affine, task=task, name=name)
    if np.array_equal(affine, np.eye(4)):
        told = "Its affine is the identity, as that of tensors that were given none: 1 mm voxels "
        told += "along R, A, S are assumed."
        return replace(scan, warnings=(*scan.warnings, told))
    return scan


def _affine_ras(image: MetaTensor, name: str) -> NDArray[np.float64]:
    """The affine of a MetaTensor, turned into RAS where ``meta`` says that it is LPS."""
    affine = np.array(image.affine.detach().cpu().numpy(), dtype=np.float64)
    told = image.meta.get(MetaKeys.SPACE)
    space = str(getattr(told, "value", told))
    if space == SpaceKeys.LPS.value:
        return _LPS_TO_RAS @ affine
    if told is not None and space != SpaceKeys.RAS.value:
        raise InputRefused(
            f"{name}: its affine leads to the space {space}", rule="RAS and LPS are understood"
        )
    return affine


def _like(image: MetaTensor, made: NDArray[np.float32], result: Synthesis, model: Model) -> Any:
    """A MetaTensor with the affine, the meta and the spatial history of ``image``."""
    kept = {key: value for key, value in image.meta.items() if key != MetaKeys.AFFINE}
    meta = kept | {
        MODEL_KEY: model.card.name,
        WEIGHTS_KEY: model.card.weights_sha256,
        WARNINGS_KEY: "\n".join(result.warnings),
        DOUBTS_KEY: "\n".join(result.out_of_distribution),
    }
    return MetaTensor(
        torch.from_numpy(made).to(image.device),
        affine=image.affine,
        meta=meta,
        applied_operations=image.applied_operations,
    )


class SynthesizeCTd(MapTransform):  # type: ignore[misc]  # MONAI ships no type information
    """MONAI dictionary transform: the image under each key becomes what a model makes of it.

    It takes MetaTensors (C, i, j, k) as ``LoadImaged`` with ``ensure_channel_first`` gives them,
    and gives (1, i, j, k) on the same grid under the same key; with ``CopyItemsd`` before it, the
    input stays. The model is opened once, when the transform is made. Grid and history are the
    input's, so that spatial transforms before it can be inverted.

    Parameters
    ----------
    keys:
        Of the images, each to be translated.
    model:
        A ``Model``, the name of a shipped one, or a model folder.
    allow_missing_keys:
        Do not raise if a key is missing.
    device, views:
        As in ``Options``.
    mask_key:
        Key of a MetaTensor above 0 in the body, on any grid; without it the body is found.
    """

    def __init__(
        self,
        keys: KeysCollection,
        model: Model | str | Path = "head-mr-ct",
        allow_missing_keys: bool = False,
        device: DeviceName = "auto",
        views: int = 1,
        mask_key: str | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.model = model if isinstance(model, Model) else load_model(model)
        self.mask_key = mask_key
        self._options = Options(device=device, views=views)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with each image translated.

        Raises
        ------
        UsageError
            If a value is no MetaTensor, so that nothing says where its voxels lie.
        MedcycleganError
            As ``synthesize``.
        """
        made = dict(data)
        for key in self.key_iterator(made):
            image = _tensor_at(made, key)
            made[key] = synthesize(image, self.model, options=self._options_for(made))
        return made

    def _options_for(self, data: Mapping[Hashable, Any]) -> Options:
        if self.mask_key is None:
            return self._options
        mask = _tensor_at(data, self.mask_key)
        voxels = mask.detach().cpu().as_tensor().numpy().astype(np.float32)
        voxels = voxels[0] if voxels.ndim == 4 else voxels
        name = f"under the key {self.mask_key}"
        volume = Volume(voxels, Geometry(voxels.shape, _affine_ras(mask, name)), "mask")
        return replace(self._options, mask=volume, mask_name=name)


def _tensor_at(data: Mapping[Hashable, Any], key: Hashable) -> MetaTensor:
    image = data[key]
    if isinstance(image, MetaTensor):
        return image
    raise UsageError(
        f"The value under {key!r} is a {type(image).__name__}",
        rule="SynthesizeCTd takes MetaTensors, whose affine says where the voxels lie",
        remedy="load it with LoadImaged, or make one: MetaTensor(voxels, affine=affine_ras)",
    )
