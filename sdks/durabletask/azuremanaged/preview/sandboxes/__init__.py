"""On-demand sandboxes: not provided."""

raise ImportError(
    "durabletask.azuremanaged.preview.sandboxes is not provided: on-demand sandboxes run activities in containers of "
    "the hosted scheduler, in a private preview. Run those activities in a worker of your own instead.",
    name=__name__,
)
