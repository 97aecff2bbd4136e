"""Chinese characters that look alike: 末 for 未, 己 for 已, in about one character of ten."""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import CHINESE, HAN, SHARE, some

LANGUAGES = CHINESE
MEANING = "same"

GROUPS = """
己已巳 未末 土士 日曰 人入八 大太犬 天夫 干千于 王玉主 木本术 田由甲申 牛午 今令 刀刃力 几凡 九丸 乌鸟 万方 元无
见贝 为办 处外 买卖 问间闻 闪闭 右石古 左在 住往 注柱 请清情晴 青责 净争 快块 决抉 话活 说悦 该核 刻孩 跑炮泡饱 抱包
喝渴 湖胡 没设 投役 他她地 池也 你称 们门 的约均 时对 待侍特 得碍 很恨根 跟银 但担坦 使便 价介 化华 作昨 件伴 任仕
休体 候侯 低底抵 何可 位拉 信言 传转 候喉 货贷资 贵责 费货 员贝 货贺 购构沟 账帐张 支技 付讨 收牧 政故 数教 放旅
城诚 场汤扬 坏环还 地坏 块快 均钧 士上 壮状 夕歹 多名 失夫 头买 好妈 如奶 妹味 姐组 始治 字学 宁丁 安女 完玩 定宝
客容 宫官 家象 密蜜 对时 寸才 小少 尔你 就京 展居 山出 岁多 工土 差着 市布 师帅 带常 平半 年午 店底 座坐 开升 弟第
张涨 强弹 当芝 形刑 往住 心必 志忘 快怏 态志 怎作 思恩 总聪 息恩 意章 感惑 慢漫 成戊 我找 或式 戴载 户尸 手毛 打灯
找我 把吧 折拆 抢枪 持待 指脂 按安 换唤 排徘 接按 推堆 描猫 提堤 损捐 据剧 放故 料科 断继 旧归 早旱 明朋 春看 是足
显昱 晚免 暖缓 更便 最量 有友 服报 期斯 机几 杂朵 权杈 材村 束末 来米 极及 林材 果里 枚牧 架驾 某煤 查香 校较 样洋
桌卓 梯涕 次饮 欠久 款欺 正止 步少 死列 母每 比北 毫豪 氏民 水永 求球 江汪 没投 沙纱 油抽 治冶 泪汩 洗先 洒酒 派脉
流硫 浅线 海悔 消削 深探 清请 渡度 温湿 港巷 游旅 满瞒 源原 滑骨 漂票 漏雨 点占 烫汤 热执 爪瓜 爱受 片斤 版板 物场
特持 狗苟 狠狼 猜清 现观 班斑 球求 理埋 甜舔 生牛 用甩 电龟 男界 画面 留贸 略路 疼冬 病疾 白自百 皮波 盘盆 目自且
直真 相想 省看 真直 眼跟 睡垂 知和 码妈 破波 礼札 社杜 祝况 票栗 离禽 科料 租祖组 程呈 税悦 空穴 穿牙 突究 站沾 竞竟
笔毛 第弟 等寺 签鉴 管官 米来 粒拉 精请 糖塘 系糸 索素 红江 级极 纸低 线钱 练炼 组祖 细田 织职 终冬 经轻 结洁 给拾
绝艳 统充 维堆 缓暖 缺决 网冈 罚罪 老考 者都 而面 耳其 联职 肉内 股般 肥吧 胜性 能态 脏庄 脚却 脸险 自白 至到 舌古
舒舍 船般 良食 色巴 节苹 花化 苦若 英央 茶荼 药约 菜采 营宫 蓝篮 虽虫 行往 补朴 衣农 装袋 西酉 要耍 覆履 规现 视现
觉党 订汀 认队 让上 议仪 记计 许评 论伦 评平 词司 试式 询旬 语悟 误娱 课裸 谁准 调周 谈淡 谢射 豆立 象像 账帐 败贩
质盾 贴站 赔陪 起超 趣越 路露 跳挑 踢惕 身射 车东 软欠 轻经 较校 输愉 边过 达运 还环 近进 迟尺 送关 退腿 适话 选洗
通桶 速束 遇隅 道首 遗遣 那哪 部陪 都者 酒洒 酸俊 里黑 重童 野予 量最 金全 针计 钟种 钱线 铁跌 错惜 键健 长张 门们
闹闻 队认 防妨 阳阴 附付 降峰 除徐 险验 随堕 难准 雪雷 零冷 需雷 面而 音章 页贝 顶项 顺须 预须 题提 额颜 风凤 飞气
食良 饭饮 饮饭 饿俄 馆官 首道 香查 马鸟 驾架 骗编 验险 高亮 鱼渔 鸡鸣 麦表 黄横 黑里 鼻算 龙尤
"""


def _table() -> dict[str, str]:
    """Character → all that share a group with it."""
    found: dict[str, str] = {}
    for group in GROUPS.split():
        for one in group:
            known = found.get(one, "")
            found[one] = known + "".join(other for other in group if other != one and other not in known)
    return found


TABLE = _table()


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """See the head of this file; one that has no double stays."""
    return some(text, HAN, resembling, draws, share)


def resembling(character: str, draws: Random) -> str | None:
    """A character that looks like it."""
    return draws.choice(TABLE[character]) if character in TABLE else None
