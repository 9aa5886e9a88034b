from __future__ import annotations

from dataclasses import replace

import pytest

from wangp_downloader.errors import UsageError
from wangp_downloader.files import (
    Action,
    Digest,
    DigestKind,
    Evidence,
    LocalCopy,
    PlannedFile,
    RemoteAnswer,
    RemoteFile,
    RemoteState,
    Requirement,
    Role,
    TargetKind,
    TargetState,
)
from wangp_downloader.planner import Facts, Request, decide, select

SHA = Digest(DigestKind.SHA256, "a" * 64)


def remote(name: str) -> RemoteFile:
    return RemoteFile(f"https://huggingface.co/o/r/resolve/main/{name}", "o/r", "main", name)


def need(
    name: str, model: str = "m", *, required: bool = True, choice: str = "m/t", **more: object
) -> Requirement:
    row = Requirement(
        model, Role.TRANSFORMER, remote(name), f"ckpts/{name}", (name,), required=required, choice=choice
    )
    return replace(row, **more)  # type: ignore[arg-type]


INT8 = need("x_int8")
BF16 = need("x_bf16", required=False)
KNOWN = RemoteAnswer(RemoteState.KNOWN, 10, SHA, "c")


def selected(request: Request, *needs: Requirement) -> list[str]:
    models = dict.fromkeys(need.model for need in needs)
    return [row.target for row in select(needs, request, models) if row.selected]


def one(
    state: TargetState | None = None, answer: RemoteAnswer | None = KNOWN, copies: tuple[LocalCopy, ...] = ()
) -> PlannedFile:
    rows = select([INT8], Request(), ["m"])
    facts = Facts(
        {remote("x_int8"): answer} if answer else {},
        {"ckpts/x_int8": state} if state else {},
        {SHA: copies} if copies else {},
    )
    return decide(rows, facts)[0]


class TestSelect:
    def test_required_files_are_selected(self) -> None:
        assert selected(Request(), INT8, BF16) == ["ckpts/x_int8"]

    def test_variant_by_name_replaces_the_required_one(self) -> None:
        assert selected(Request(variant="bf16"), INT8, BF16) == ["ckpts/x_bf16"]

    def test_all_variants(self) -> None:
        assert selected(Request(variant="all"), INT8, BF16) == ["ckpts/x_int8", "ckpts/x_bf16"]

    def test_a_variant_leaves_places_without_it_alone(self) -> None:
        vae = need("vae", choice="m/vae")
        assert selected(Request(variant="BF16"), INT8, BF16, vae) == ["ckpts/x_bf16", "ckpts/vae"]

    def test_pattern_selects_by_name_whatever_the_settings_pick(self) -> None:
        rows = select([INT8, BF16], Request(file_patterns=("X_BF",)), ["m"])
        assert [(row.target, row.selected, row.required) for row in rows] == [("ckpts/x_bf16", True, False)]

    def test_targets_select_exactly(self) -> None:
        assert selected(Request(targets=frozenset({"ckpts/x_bf16"})), INT8, BF16) == ["ckpts/x_bf16"]

    def test_the_shared_set_belongs_to_every_model(self) -> None:
        shared = need("pose", "*", choice="*/pose")
        rows = select([shared, need("pose", "m", choice="m/pose"), INT8], Request(("m",)), ["m"])
        assert [(row.target, row.models) for row in rows] == [
            ("ckpts/pose", ("*",)),
            ("ckpts/x_int8", ("m",)),
        ]

    def test_one_row_lists_the_models_that_require_it(self) -> None:
        other = need("x_int8", "other", required=False, choice="other/t")
        rows = select([INT8, other], Request(), ["m", "other"])
        assert [(row.models, row.required) for row in rows] == [(("m",), True)]

    def test_the_partner_is_the_one_that_most_models_use(self) -> None:
        needs = [
            need("low", model, choice=f"{model}/t2", pair=f"ckpts/{high}")
            for model, high in (("finetune", "own_high"), ("base", "high"), ("child", "high"))
        ]
        assert [row.pair for row in select(needs, Request(), ["finetune", "base", "child"])] == ["ckpts/high"]

    def test_optional_groups_are_taken_by_name_only(self) -> None:
        lora = need("lora", required=False, choice="m/lora", group="qwen/Lightning 4 Steps")
        assert selected(Request(), INT8, lora) == ["ckpts/x_int8"]
        assert selected(Request(variant="all"), INT8, lora) == ["ckpts/x_int8"]
        assert selected(Request(groups=("lightning",)), INT8, lora) == ["ckpts/x_int8", "ckpts/lora"]
        assert selected(Request(groups=("steps lightning",)), INT8, lora) == ["ckpts/x_int8", "ckpts/lora"]
        with pytest.raises(UsageError, match="no profile's or configuration's name"):
            selected(Request(groups=("turbo",)), INT8, lora)

    def test_the_first_remote_file_of_a_target_wins(self) -> None:
        second = need("x_int8", "other", remote=remote("elsewhere/x_int8"))
        rows = select([INT8, second], Request(), ["m", "other"])
        assert [(row.remote, row.models) for row in rows] == [(remote("x_int8"), ("m", "other"))]

    @pytest.mark.parametrize(
        ("request_", "message", "hint"),
        [
            (Request(("t2w",)), "there is no model 't2w'", "did you mean t2v"),
            (Request(file_patterns=("nothing",)), "no file's name contains 'nothing'", "wangp-dl plan"),
            (Request(variant="fp4"), "no variant's name contains 'fp4'", "all takes every variant"),
        ],
    )
    def test_what_is_not_there_is_said(self, request_: Request, message: str, hint: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            select([replace(INT8, model="t2v"), replace(BF16, model="t2v")], request_, ["t2v"])
        assert hint in (caught.value.hint or "")
        assert caught.value.exit_code == 2


class TestDecide:
    def test_nothing_here_is_downloaded(self) -> None:
        file = one()
        assert (file.action, file.reason, file.size, file.digest) == (
            Action.DOWNLOAD,
            "not on this machine",
            10,
            SHA,
        )

    def test_equal_bytes_elsewhere_are_linked(self) -> None:
        copy = LocalCopy("hub", "/hub/y", Evidence.COMPUTED)
        file = one(copies=(copy, LocalCopy("hf-cache", "/c", Evidence.NAMED)))
        assert (file.action, file.source) == (Action.LINK, copy)

    def test_a_file_in_place_is_kept(self) -> None:
        file = one(TargetState("/w/ckpts/x_int8", TargetKind.FILE, 10, True, Evidence.COMPUTED))
        assert (file.action, file.path) == (Action.KEEP, "ckpts/x_int8")

    def test_a_file_in_another_checkpoint_path_is_kept_there(self) -> None:
        rows = select([INT8], Request(), ["m"])
        state = TargetState("/w/x_int8", TargetKind.LINK, 10, True, Evidence.COMPUTED)
        (file,) = decide(rows, Facts({remote("x_int8"): KNOWN}, {"x_int8": state}))
        assert (file.action, file.path) == (Action.KEEP, "x_int8")

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (
                TargetState("/t", TargetKind.FILE, 9, False),
                "another file stands at its place (9 bytes instead of 10)",
            ),
            (TargetState("/t", TargetKind.FILE, 10, False), "same size, other SHA-256"),
            (TargetState("/t", TargetKind.LINK, 9, False, link_to="/x"), "a link to another file"),
            (TargetState("/t", TargetKind.OTHER), "something that is no file"),
        ],
    )
    def test_other_content_is_a_conflict_and_never_replaced(self, state: TargetState, words: str) -> None:
        file = one(state, copies=(LocalCopy("hub", "/hub/y", Evidence.COMPUTED),))
        assert file.action is Action.CONFLICT
        assert words in file.reason
        assert file.hint

    def test_a_broken_link_is_repaired(self) -> None:
        broken = TargetState("/t", TargetKind.BROKEN_LINK, link_to="/gone")
        file = one(broken, copies=(LocalCopy("hub", "/hub/y", Evidence.COMPUTED),))
        assert file.action is Action.LINK
        assert "repaired" in file.reason
        assert one(broken).action is Action.DOWNLOAD

    @pytest.mark.parametrize(
        "state", [RemoteState.GATED, RemoteState.MISSING, RemoteState.OFFLINE, RemoteState.FAILED]
    )
    def test_what_can_not_be_had_is_blocked_with_its_reason(self, state: RemoteState) -> None:
        file = one(answer=RemoteAnswer(state, problem="because", hint="do this"))
        assert (file.action, file.reason, file.hint) == (Action.BLOCKED, "because", "do this")

    def test_a_file_in_place_is_kept_although_the_hub_can_not_be_asked(self) -> None:
        state = TargetState("/t", TargetKind.FILE, 10)
        file = one(state, answer=RemoteAnswer(RemoteState.OFFLINE, problem="no network"))
        assert (file.action, file.size) == (Action.KEEP, 10)
        assert "unverified (no network)" in file.reason

    def test_a_local_path_that_is_not_there_is_blocked(self) -> None:
        rows = select(
            [replace(INT8, remote=None, target="/data/mine.safetensors", also_at=())], Request(), ["m"]
        )
        (file,) = decide(rows, Facts())
        assert file.action is Action.BLOCKED
        assert "local file" in file.reason

    def test_a_host_without_hashes_is_said_to_be_unverified(self) -> None:
        assert "unverified" in one(answer=RemoteAnswer(RemoteState.KNOWN, 10)).reason

    def test_what_is_here_from_an_earlier_attempt_is_said(self) -> None:
        rows = select([INT8], Request(), ["m"])
        (file,) = decide(rows, Facts({remote("x_int8"): KNOWN}, partial={"ckpts/x_int8": 5}))
        assert "50 % are here" in file.reason
