"""Images packed by hand: layers of files, a config, an OCI layout."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

from e2e.cluster.build import arch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MEDIA = "application/vnd.oci.image"
Descriptor = dict[str, Any]


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes whoever packs it, and whenever."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def layer(out: Path, files: Mapping[str, Path]) -> Path:
    """Pack files and whole folders, `{path in the image: path here}`, as one uncompressed layer."""
    with tarfile.open(out, "w") as archive:
        for name, source in sorted(files.items()):
            archive.add(source, name, filter=_anonymous)
    return out


def _put(blobs: Path, content: bytes, kind: str) -> Descriptor:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {
        "mediaType": f"{_MEDIA}.{kind}",
        "digest": f"sha256:{digest}",
        "size": len(content),
    }


def _put_layer(blobs: Path, packed: Path) -> Descriptor:
    with packed.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    shutil.move(packed, blobs / digest)
    size = (blobs / digest).stat().st_size
    return {"mediaType": f"{_MEDIA}.layer.v1.tar", "digest": f"sha256:{digest}", "size": size}


def layout(home: Path, name: str, packed: Path, config: Mapping[str, object]) -> str:
    """Write a one-layer image as an OCI layout, consuming the layer; return its digest.

    Uncompressed, so that a layer's digest is its diff id.
    """
    blobs = home / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    content = _put_layer(blobs, packed)
    image = {
        "architecture": arch(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [content["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": _put(blobs, json.dumps(image).encode(), "config.v1+json"),
        "layers": [content],
    }
    described = _put(blobs, json.dumps(manifest).encode(), "manifest.v1+json")
    digest: str = described["digest"]
    described["platform"] = {"architecture": arch(), "os": "linux"}
    described["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1],
    }
    (home / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return digest


def archive(home: Path, out: Path) -> None:
    """A layout as the one file that `ctr images import` and `kind load` take."""
    fresh = out.with_suffix(".part")
    with tarfile.open(fresh, "w") as packed:
        for path in sorted(home.rglob("*")):
            if path.is_file():
                packed.add(path, str(path.relative_to(home)), filter=_anonymous)
    fresh.replace(out)


def image_name(packed: Path) -> str:
    """The name an archive carries."""
    with tarfile.open(packed) as opened:
        index = opened.extractfile("index.json") or io.BytesIO(b"{}")
        manifests = json.load(index)["manifests"]
    name: str = manifests[0]["annotations"]["io.containerd.image.name"]
    return name
