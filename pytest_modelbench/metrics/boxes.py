"""Boxes: where things are in a picture, against where they should be."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import array, check_pairs
from ..scores import Judged


@metric("ratio", "higher")
def iou(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """Intersection over union of each box, or mask, with its reference.

    A box is `(left, top, right, bottom)`; a mask an array (height, width) that is not 0 where the thing is. Two empty
    masks agree. Raises UsageError for boxes whose ends are the wrong way round.
    """
    check_pairs("iou", predictions, references)
    items = []
    for at, pair in enumerate(zip(predictions, references, strict=True)):
        one, other = (array("iou", values) for values in pair)
        if one.shape != other.shape or (one.ndim != 2 and one.shape != (4,)):
            raise UsageError(
                f"iou: item {at} has shapes {one.shape} and {other.shape}: "
                "give boxes of four numbers, or masks of one size"
            )
        items.append(_of_boxes(at, one, other) if one.ndim == 1 else _of_masks(one, other))
    return items


def _of_boxes(at: int, one: Any, other: Any) -> float:
    for box in (one, other):
        if box[2] < box[0] or box[3] < box[1]:
            raise UsageError(
                f"iou: item {at} has a box {box.tolist()} that ends before it begins: left, top, right, bottom"
            )
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    union = sum(areas) - width * height
    return float(width * height / union) if union else 0.0


def _of_masks(one: Any, other: Any) -> float:
    ours, theirs = one != 0, other != 0
    union = float((ours | theirs).sum())
    return float((ours & theirs).sum()) / union if union else 1.0


@metric("ratio", "higher", requires=("pycocotools",))
def mean_ap(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """COCO's mean average precision of detections, over IoU 0.50 to 0.95 and classes; by pycocotools.

    A prediction is `{"boxes": [(left, top, right, bottom), ...], "scores": [...], "labels": [...]}` of one picture,
    labels being whole numbers; a reference is the same without scores. It is of all pictures together: no items.
    """
    check_pairs("mean_ap", predictions, references)
    found = [_rows(at, given, ("boxes", "scores", "labels")) for at, given in enumerate(predictions)]
    right = [_rows(at, given, ("boxes", "labels")) for at, given in enumerate(references)]
    if not any(right):
        raise UsageError("mean_ap: the references hold no box: there is nothing to find")

    def judge(at: Sequence[int]) -> float:
        return _coco([found[i] for i in at], [right[i] for i in at])

    return Judged(judge(range(len(found))), again=judge, n=len(found))


def _rows(at: int, given: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What one picture holds as COCO writes it: left, top, width, height."""
    if not isinstance(given, dict) or not set(names) <= set(given):
        held = ", ".join(given) if isinstance(given, dict) else type(given).__name__
        raise UsageError(f"mean_ap: picture {at} has {held}: give a dict of {', '.join(names)}")
    columns = [array("mean_ap", given[name]).tolist() for name in names]
    if len(set(map(len, columns))) > 1:
        raise UsageError(
            f"mean_ap: picture {at} has {', '.join(f'{len(c)} {n}' for c, n in zip(columns, names, strict=True))}"
        )
    rows = []
    for values in zip(*columns, strict=True):
        row = dict(zip(names, values, strict=True))
        left, top, end, bottom = row["boxes"]
        box = [left, top, end - left, bottom - top]
        rows.append({"bbox": box, "area": box[2] * box[3], "category_id": int(row["labels"]), "iscrowd": 0})
        if "scores" in row:
            rows[-1]["score"] = row["scores"]
    return rows


def _coco(found: list[list[dict[str, Any]]], right: list[list[dict[str, Any]]]) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not any(right):
        return float("nan")
    if not any(found):
        return 0.0
    truth, detected = COCO(), COCO()
    pictures = [{"id": at} for at in range(1, len(right) + 1)]
    classes = [{"id": name} for name in sorted({row["category_id"] for rows in right for row in rows})]
    with contextlib.redirect_stdout(io.StringIO()):  # it tells how long it took
        for held, pages in ((truth, right), (detected, found)):
            rows = [{**row, "image_id": at} for at, page in enumerate(pages, start=1) for row in page]
            held.dataset = {
                "images": pictures,
                "categories": classes,
                "annotations": [{**row, "id": number} for number, row in enumerate(rows, start=1)],
            }
            held.createIndex()
        judged = COCOeval(truth, detected, "bbox")
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, -1]  # (IoUs, recalls, classes) of every size, 100 a picture
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")
