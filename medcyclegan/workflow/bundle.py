"""What the configuration of a MONAI bundle of ours runs: network, reader, inferer, loop.

``python -m monai.bundle run --config_file configs/inference.json`` reads with ``ScanReader``,
translates with ``ScanInferer`` and saves with MONAI's ``SaveImaged``. Body mask, resampling, slabs
and input checks are medcyclegan's own, which the bundle therefore needs: the voxels are those of
``medcyclegan synth-ct``, bit for bit, as the same functions make them. The weights are the
bundle's, and held against their sha256.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import ImageReader, MetaTensor
from monai.inferers import Inferer
from monai.utils import MetaKeys, SpaceKeys
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from medcyclegan.errors import InputRefused, ModelRefused
from medcyclegan.inference.sliding_slabs import DeviceName
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model, fresh_generator, read_card
from medcyclegan.workflow.arrays import synthesize
from medcyclegan.workflow.synthesize import Options

_log = logging.getLogger(__name__)

# Where these lie in a bundle.
WEIGHTS, CARD = "models/model.pt", "models/card.json"


def network_of(card: str | Path) -> nn.Module:
    """Build the network of a bundle's card, with fresh weights, for ``network_def``."""
    path = Path(card)
    return fresh_generator(read_card(path.parent), path)


class ScanReader(ImageReader):  # type: ignore[misc]  # MONAI ships no type information
    """MONAI image reader that reads as ``medcyclegan.read_scan`` does, with its checks."""

    def __init__(self, modality: str | None = None) -> None:
        super().__init__()
        self.modality = modality

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether to try; what cannot be read is refused by ``read``, which says why."""
        return True

    def read(self, data: Any, **kwargs: Any) -> Scan:
        """Read one file, or a folder with a DICOM series."""
        paths = [data] if isinstance(data, str | Path) else list(data)
        if len(paths) != 1:
            raise InputRefused(
                f"{len(paths)} files for one image", rule="one file or folder is read"
            )
        scan = read_scan(paths[0], modality=self.modality)
        for warning in scan.warnings:
            _log.warning("%s: %s", scan.source, warning)
        return scan

    def get_data(self, img: Scan) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the voxels (i, j, k), and the meta that a MetaTensor is made of."""
        affine = np.array(img.volume.geometry.affine_ras)
        meta = {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(img.volume.geometry.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),  # MONAI's sign for none
        }
        return np.array(img.volume.voxels), meta


class ScanInferer(Inferer):  # type: ignore[misc]
    """MONAI inferer: the whole of ``medcyclegan.synthesize``, with the network that it is given.

    Parameters
    ----------
    card:
        The bundle's ``models/card.json``.
    weights_sha256:
        Of the weights that belong to the card; a network with others is refused.
    device, views:
        As in ``Options``.
    """

    def __init__(
        self, card: str | Path, weights_sha256: str, device: DeviceName = "auto", views: int = 1
    ) -> None:
        super().__init__()
        self.card = read_card(Path(card).parent)
        self.weights_sha256 = weights_sha256
        self.options = Options(device=device, views=views)
        self._model: Model | None = None

    def __call__(
        self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> MetaTensor:
        """(1, i, j, k) MetaTensor -> its like, in the unit of the model's target.

        Raises
        ------
        ModelRefused
            If the network holds other weights than the card's.
        MedcycleganError
            As ``synthesize``.
        """
        if self._model is None or self._model.generator is not network:
            self._model = self._opened(network)
        made: MetaTensor = synthesize(inputs, self._model, options=self.options)
        return made

    def _opened(self, network: Any) -> Model:
        if digest_of(network.state_dict()) != self.weights_sha256:
            raise ModelRefused(
                f"The network of the bundle {self.card.name} holds other weights than its card",
                rule=f"their sha256 is {self.weights_sha256[:12]}…",
                remedy=f"run the id load_weights first, or export the bundle again ({WEIGHTS})",
            )
        network.eval().requires_grad_(False)
        return Model(self.card, network.to(memory_format=torch.channels_last))


class BundleRun:
    """Every item of a dataset through the inferer and the postprocessing, one after the other."""

    def __init__(
        self,
        dataset: Sequence[dict[str, Any]],
        network: nn.Module,
        inferer: Inferer,
        postprocessing: Callable[[dict[str, Any]], Any],
    ) -> None:
        self.dataset, self.network = dataset, network
        self.inferer, self.postprocessing = inferer, postprocessing

    def run(self) -> None:
        """Do it.

        Raises
        ------
        InputRefused
            If there is no item: a folder that was mistyped is no success.
        """
        if not len(self.dataset):
            raise InputRefused(
                "The bundle was given no image",
                rule="dataset_dir holds .nii or .nii.gz files",
                remedy="name their folder with --dataset_dir",
            )
        for number in range(len(self.dataset)):
            item = self.dataset[number]
            self.postprocessing(item | {"pred": self.inferer(item["image"], self.network)})


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """Return the sha256 of weights in float32, by their names."""
    plain = {name: value.detach().float().cpu().contiguous() for name, value in weights.items()}
    return hashlib.sha256(save(plain)).hexdigest()
