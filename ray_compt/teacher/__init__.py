"""The frozen predecessor as a server of features: one service for a whole cluster, named by its weights.

`TeacherSpec` (which model), `serving` (driver: hold a service), `InlineTeacher` and `ServedTeacher` (worker: ask
for features), `lessons` (batches with their features, asked ahead), `directory` (what runs on a cluster).
Must not import train, chain, evaluate or cli.

    worker --request--> replica (a model on a device; joins the requests of all workers)
    driver --lease----> service (starts, watches and scales the replicas; ends itself when nobody holds a lease)
"""

from ray_compt.teacher.spec import TeacherSpec

__all__ = ["TeacherSpec"]
