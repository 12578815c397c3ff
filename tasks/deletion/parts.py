"""All that a project leaves anywhere, in the order in which it goes."""

from typing import Final

from tasks.deletion import endpoints, identities, leftovers, objects, tracking, workflows
from tasks.deletion.tally import Part

# Whatever a project gets that bears its name belongs here. First what works and answers, then what
# is stored, last the items that tell of it.
PARTS: Final = (
    Part(
        "machines",
        "ending its machines",
        identities.find_machines,
        identities.remove_machines,
    ),
    Part("roles", "removing its roles", identities.find_roles, identities.remove_roles),
    Part(
        "functions",
        "removing its endpoint",
        endpoints.find_functions,
        endpoints.remove_functions,
    ),
    Part(
        "endpoint_roles",
        "removing its endpoint's roles",
        identities.find_endpoint_roles,
        identities.remove_endpoint_roles,
    ),
    Part("images", "removing its images", endpoints.find_images, endpoints.remove_images),
    Part("logs", "removing its logs", endpoints.find_logs, endpoints.remove_logs),
    Part("uploads", "ending its uploads", objects.find_uploads, objects.remove_uploads),
    Part("objects", "removing its data and models", objects.find_objects, objects.remove_objects),
    Part("tracking", "removing its experiment", tracking.find_tracked, tracking.remove_tracked),
    Part("studies", "removing its studies", leftovers.find_studies, leftovers.remove_studies),
    Part("runs", "removing its flow runs", workflows.find_runs, workflows.remove_runs),
    Part("copies", "removing cached copies", leftovers.find_copies, leftovers.remove_copies),
    Part("quotas", "giving back its quotas", leftovers.find_held, leftovers.remove_held),
    Part("items", "removing its records", leftovers.find_items, leftovers.remove_items),
)
RECORD: Final = Part(
    "record",
    "removing the project",
    leftovers.find_record,
    leftovers.remove_record,
    is_exact=True,
)
