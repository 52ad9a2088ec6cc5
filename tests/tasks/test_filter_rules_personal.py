"""The rule on personal data: what is somebody's, what is an example, and that nothing of it is told again."""

from pathlib import Path

import pytest

from tasks.filter.personal import is_my_number
from tests.tasks.test_filter import held, run, table
from tests.tasks.test_filter_rules import broken, check

PERSONAL = {
    "email": ["Write to taro.yamada@gmail.com about it.", "連絡先はｔａｒｏ＠docomo.ne.jpです。"],
    "phone": [
        "Call me at (212) 736-5000 today.",
        "My number is +44 20 7946 1958, call me.",
        "Call +81-90-8362-1745.",
        "電話番号は03-3581-2361です。",
        "０９０－８３６２－１７４５に電話してください。",
        "携帯は09083621745です。",
        "(03)3581-2361へどうぞ。",
    ],
    "address": [
        "I live at 4711 Maple Avenue, Portland, OR 97201.",
        "Send it to 10 Downing Street, London SW1A 2AA.",
        "東京都千代田区霞が関2-1-1に送ってください。",
        "住所は大阪府大阪市北区中之島一丁目3番です。",
        "〒100-0013 東京都までお願いします。",
    ],
    "my_number": ["My number is 123456789018.", "マイナンバーは123456789018です。", "番号は1234-5678-9018です。"],
}
IMPERSONAL = [
    "Validate user@example.com and info@yourcompany.com with a regex.",
    "Clone git@github.com:owner/name.git and build it.",
    "What is the price of 12 @ 3.50 each?",
    "Use 555-123-4567 or (415) 555-0132 as a sample.",
    "What is 2023-10-15 minus 90 days?",
    "Is 192.168.100.200 a private address?",
    "Compute 0.0123-4567-8901 by hand.",
    "Who lived at 221B Baker Street, and who at 1600 Pennsylvania Avenue?",
    "Format 123 Main Street, Anytown, CA 12345 as a label.",
    "マイナンバーは123456789017ですか？",
    "マイナンバー制度の利点を教えてください。",
    "ISBN 978-4-06-519981-7の本について教えてください。",
    "Is 1234 5678 9012 3456 a valid card number?",
    "0120-444-113はフリーダイヤルですか？",
    "090-1234-5678のような番号の形式を検証する正規表現を書いてください。",
    "110番と119番の違いを教えてください。",
    "東京都千代田区の歴史を教えてください。",
    "東京都港区で2024年に開かれた催しを三つ教えてください。",
    "123456789018を素因数分解してください。",
]


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_is_somebodys_and_not_an_example(tmp_path: Path, kind: str) -> None:
    check(tmp_path, {"personal_data": kind}, PERSONAL[kind], IMPERSONAL)
    others = [other for other in PERSONAL if other != kind]
    assert broken(tmp_path, {"personal_data": others}, PERSONAL[kind]) == []


def test_personal_data_is_not_told_again_in_the_detail(tmp_path: Path) -> None:
    result = run(tmp_path, table(tmp_path, [PERSONAL["email"][0], *IMPERSONAL]), rules=["personal_data"])
    assert [row["detail"] for row in held(result)] == ["holds personal data: email"]


def test_an_individual_number_has_one_right_check_digit() -> None:
    for digits in ("12345678901", "00000000001", "98765432109"):
        assert sum(is_my_number(digits + last) for last in "0123456789") == 1
    assert is_my_number("123456789018")
