"""The rule on personal data: what is somebody's, what is an example, and that nothing of it is repeated."""

from pathlib import Path

import pytest

from kasasagi.tasks.filter.rules.personal import is_my_number
from tests.tasks.test_filter import held, reasons, run, table
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
        "090 8362 1745に電話してください。",
        "０９０　８３６２　１７４５までどうぞ。",
        "TELは03 3581 2361です。",
        "03 3581 2361にお電話ください。",
        "Call me at 212 736 5000 today.",
        "My number is 1 212 736 5000, any day.",
        "Is (212) 736 5000 still yours?",
    ],
    "address": [
        "I live at 4711 Maple Avenue, Portland, OR 97201.",
        "Send it to 10 Downing Street, London SW1A 2AA.",
        "東京都千代田区霞が関2-1-1に送ってください。",
        "住所は大阪府大阪市北区中之島一丁目3番です。",
        "〒100-0013 東京都までお願いします。",
        "東京都千代田区霞が関一丁目が住所です。",
        "東京都港区赤坂9番地に住んでいます。",
        "東京都新宿区西新宿二番八号へ。",
        "神奈川県川崎市麻生区はるひ野1-2-3です。",
        "大阪府和泉市のぞみ野3-4-5です。",
        "愛知県豊田市とよた町1-2に引っ越しました。",
        "愛知県名古屋市天白区はら1-202です。",
        "神奈川県横浜市青葉区市が尾町1-2です。",
        "神奈川県 横浜市 西区 みなとみらい2-2-1",
        "東京都渋谷区代々木1-2-3まで。",
        "神奈川県横浜市と東京都港区赤坂1-2-3に支店があります。",
        "千葉県浦安市に住む友人と東京都港区赤坂1-2-3で会います。",
        "東京都中央区八重洲1-2日本橋ビルに送ってください。",
        "石川県野々市市三納18-1です。",
        "東京都立川市あけぼの1-2です。",
        "長野県松本市大字島立1234-5まで来てください。",
        "宮城県仙台市青葉区本町3丁目8番1号です。",
        "山口県山口市滝町1番1号に届けてください。",
    ],
    "my_number": [
        "My number is 123456789018.",
        "My number is 1234 5678 9018.",
        "マイナンバーは123456789018です。",
        "番号は1234-5678-9018です。",
    ],
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
    "Who won in 1998 2010 2020 and why?",
    "追跡番号 123456789018 の荷物はどこですか？",
    "ISBN 978-4-06-519981-7の本について教えてください。",
    "Is 1234 5678 9012 3456 a valid card number?",
    "0120-444-113はフリーダイヤルですか？",
    "090-1234-5678のような番号の形式を検証する正規表現を書いてください。",
    "110番と119番の違いを教えてください。",
    "東京都千代田区の歴史を教えてください。",
    "東京都港区で2024年に開かれた催しを三つ教えてください。",
    "123456789018を素因数分解してください。",
    "京都府京都市で一番有名なお寺はどこですか？",
    "神奈川県横浜市で二番目に高い建物は何ですか？",
    "千葉県浦安市内で2番目に人気の観光地はどこですか？",
    "東京都千代田区の東京駅3番出口はどこですか？",
    "沖縄県那覇市の2020-2023年の観光客数の推移を説明してください。",
    "北海道札幌市における2020-2023年の人口を表にしてください。",
    "神奈川県横浜市中区で2-3時間過ごせる場所を教えてください。",
    "神奈川県横浜市から2-3時間で行ける温泉を教えてください。",
    "神奈川県横浜市について2-3文で説明してください。",
    "京都府京都市へ2-3日旅行します。おすすめの道順を教えてください。",
    "東京都渋谷区で人気の店を2-3軒挙げてください。",
    "東京都港区在住の30-40代に人気の習い事は何ですか？",
    "東京都千代田区周辺のカフェを2-3か所教えてください。",
    "東京都世田谷区で2-3LDKの家賃はいくらですか？",
    "東京都港区2024-10-15の天気を調べる方法は何ですか？",
    "次の数を足してください：2020 3000 4000",
    "次の表を合計してください。\n090 8362 1745 1000\n080 2736 5000 2000",
    "次の表を並べ替えてください。\n212 736 5000\n312 736 4000",
    "Sort 212 736 5000 and 312 736 4000 by size.",
    "Is 212 736 5000 + 1 prime?",
    "How do I call f(212 736 5000) in C?",
    "090 1234 5678のような番号の形式は何ですか？",
]


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_is_somebodys_and_not_an_example(tmp_path: Path, kind: str) -> None:
    check(tmp_path, {"personal_data": kind}, PERSONAL[kind], IMPERSONAL)
    others = [other for other in PERSONAL if other != kind]
    assert broken(tmp_path, {"personal_data": others}, PERSONAL[kind]) == []


def test_personal_data_is_not_told_again_in_the_detail(tmp_path: Path) -> None:
    result = run(tmp_path, table(tmp_path, [PERSONAL["email"][0], *IMPERSONAL]), rules=["personal_data"])
    assert [row["detail"] for row in held(result)] == ["contains personal data: email"]


@pytest.mark.parametrize("place", range(4))
def test_personal_data_in_any_turn_is_found_since_all_are_published(tmp_path: Path, place: int) -> None:
    turns = [
        {"role": role, "content": "Go on."} for role in ("system", "user", "assistant", "user")
    ]  # the last one is the instruction
    leaking = [dict(turn, content=PERSONAL["email"][0]) if at == place else turn for at, turn in enumerate(turns)]
    instructions = [leaking[-1]["content"], turns[-1]["content"]]
    prompts = table(tmp_path, instructions, messages=[leaking, turns])
    assert reasons(run(tmp_path, prompts, rules=["personal_data"])) == {0: "personal_data"}
    assert reasons(run(tmp_path, prompts, rules=[{"personal_data": "phone"}])) == {}


def test_an_individual_number_has_one_right_check_digit() -> None:
    for digits in ("12345678901", "00000000001", "98765432109"):
        assert sum(is_my_number(digits + last) for last in "0123456789") == 1
    assert is_my_number("123456789018")
