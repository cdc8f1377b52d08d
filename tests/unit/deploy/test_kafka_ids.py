"""A broker's cluster id must not look like an option to the tool that formats its storage."""

from deploy.local.kafka import new_cluster_id


def test_no_cluster_id_begins_like_an_option() -> None:
    ids = [new_cluster_id() for _ in range(2_000)]  # one in 64 would, if nobody cared
    assert len(set(ids)) == len(ids)
    assert not [each for each in ids if each.startswith("-")]
