"""Which SDK the app runs on: perdure's own, or the official package of its environment as a guest."""

from perdure import __version__, sdks
from perdure.functions.app_settings import AppSettings
from perdure.functions.sdk_side import OWN_SDK, SdkSide
from perdure.host.options import Sdk, StartFailed

SDK_SETTING = "PERDURE_SDK"


def chosen_sdk(said: Sdk | None, app: AppSettings) -> Sdk:
    """The argument, else the setting, else ours. Raises StartFailed for an unknown one."""
    if said is not None:
        return said
    text = app.get(SDK_SETTING)
    try:
        return Sdk((text or Sdk.OURS.value).strip().lower())
    except ValueError:
        raise StartFailed(f"{SDK_SETTING} is 'ours' or 'installed', not '{text}'.", 2) from None


def prepare(sdk: Sdk, local_rpc: bool | None = None) -> SdkSide:
    """Make the import names of the SDKs mean the chosen one. Before any user code; raises StartFailed.

    ``local_rpc`` is what host.json says of the local RPC endpoint, without which the official package has no client.
    """
    if sdk is Sdk.OURS:
        sdks.prefer_ours()
        return OWN_SDK
    if local_rpc is False:
        raise StartFailed(
            "--sdk installed: the client of the official package reaches this host by its local RPC endpoint, which "
            "host.json switches off. Remove 'localRpcEndpointEnabled' under extensions.durableTask.",
            1,
        )
    from perdure.functions.guest.official import GuestRefused, require_official
    from perdure.functions.guest.side import GUEST_SDK

    try:
        require_official()
    except GuestRefused as error:
        raise StartFailed(str(error), 1) from error
    return GUEST_SDK


def describe(sdk: Sdk) -> str:
    """One line for the start log. Raises StartFailed."""
    if sdk is Sdk.OURS:
        return sdks.describe()
    from perdure.functions.guest.official import DISTRIBUTION, GuestRefused, require_official

    try:
        found = require_official()
    except GuestRefused as error:
        raise StartFailed(str(error), 1) from error
    return (
        f"SDK: {DISTRIBUTION} {found} runs as a guest of perdure {__version__} and replays everything at each step; "
        "without --sdk installed perdure's own SDK runs the same app"
    )
