"""How the frequent Chinese characters are read, without tones: for homophones and for pinyin.

GB 2312 lays the 3,755 characters of its first part out by their sound, so the first character of each syllable is all
the table that is needed. Characters of several readings stand under one of them; the most frequent of those whose usual
reading is another are listed apart.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

FIRSTS = """
a啊 ai埃 an鞍 ang肮 ao凹 ba芭 bai白 ban斑 bang邦 bao苞 bei杯 ben奔 beng崩 bi逼 bian鞭 biao标 bie鳖 bin彬 bing兵 bo玻
bu捕 ca擦 cai猜 can餐 cang苍 cao操 ce厕 ceng层 cha插 chai拆 chan搀 chang昌 chao超 che车 chen郴 cheng撑 chi吃 chong充
chou抽 chu初 chuai揣 chuan川 chuang疮 chui吹 chun春 chuo戳 ci疵 cong聪 cou凑 cu粗 cuan蹿 cui摧 cun村 cuo磋 da搭
dai呆 dan耽 dang当 dao刀 de德 deng蹬 di堤 dian颠 diao碉 die跌 ding丁 diu丢 dong东 dou兜 du都 duan端 dui堆 dun墩
duo掇 e蛾 en恩 er而 fa发 fan藩 fang坊 fei菲 fen芬 feng丰 fo佛 fou否 fu夫 ga噶 gai该 gan干 gang冈 gao篙 ge哥 gei给
gen根 geng耕 gong工 gou钩 gu辜 gua刮 guai乖 guan棺 guang光 gui瑰 gun辊 guo锅 ha哈 hai骸 han酣 hang夯 hao壕 he呵
hei嘿 hen痕 heng哼 hong轰 hou喉 hu呼 hua花 huai槐 huan欢 huang荒 hui灰 hun荤 huo豁 ji击 jia嘉 jian歼 jiang僵 jiao蕉
jie揭 jin巾 jing荆 jiong炯 jiu揪 ju鞠 juan捐 jue撅 jun均 ka喀 kai开 kan刊 kang康 kao考 ke坷 ken肯 keng坑 kong空
kou抠 ku枯 kua夸 kuai块 kuan宽 kuang匡 kui亏 kun坤 kuo括 la垃 lai莱 lan蓝 lang琅 lao捞 le勒 lei雷 leng棱 li厘 lia俩
lian联 liang粮 liao撩 lie列 lin琳 ling玲 liu溜 long龙 lou楼 lu芦 lv驴 luan峦 lve掠 lun抡 luo萝 ma妈 mai埋 man瞒
mang芒 mao猫 me么 mei玫 men门 meng萌 mi眯 mian棉 miao苗 mie蔑 min民 ming明 miu谬 mo摸 mou谋 mu拇 na拿 nai氖 nan南
nang囊 nao挠 ne呢 nei馁 nen嫩 neng能 ni妮 nian蔫 niang娘 niao鸟 nie捏 nin您 ning柠 niu牛 nong脓 nu奴 nv女 nuan暖
nve虐 nuo挪 o哦 ou欧 pa啪 pai拍 pan攀 pang乓 pao抛 pei呸 pen喷 peng砰 pi坯 pian篇 piao飘 pie撇 pin拼 ping乒 po坡
pou剖 pu扑 qi期 qia掐 qian牵 qiang枪 qiao橇 qie切 qin钦 qing青 qiong琼 qiu秋 qu趋 quan圈 que缺 qun裙 ran然 rang瓤
rao饶 re惹 ren壬 reng扔 ri日 rong戎 rou揉 ru茹 ruan软 rui蕊 run闰 ruo若 sa撒 sai腮 san三 sang桑 sao搔 se瑟 sen森
seng僧 sha莎 shai筛 shan珊 shang墒 shao梢 she奢 shen砷 sheng声 shi师 shou收 shu蔬 shua刷 shuai摔 shuan栓 shuang霜
shui谁 shun吮 shuo说 si斯 song松 sou搜 su苏 suan酸 sui虽 sun孙 suo蓑 ta塌 tai胎 tan坍 tang汤 tao掏 te特 teng藤 ti梯
tian天 tiao挑 tie贴 ting厅 tong通 tou偷 tu凸 tuan湍 tui推 tun吞 tuo拖 wa挖 wai歪 wan豌 wang汪 wei威 wen瘟 weng嗡
wo挝 wu巫 xi昔 xia瞎 xian掀 xiang相 xiao萧 xie楔 xin薪 xing星 xiong兄 xiu休 xu墟 xuan轩 xue靴 xun勋 ya压 yan焉
yang殃 yao邀 ye椰 yi一 yin茵 ying英 yo哟 yong拥 you幽 yu迂 yuan鸳 yue曰 yun耘 za匝 zai栽 zan咱 zang赃 zao遭 ze责
zei贼 zen怎 zeng增 zha扎 zhai摘 zhan瞻 zhang樟 zhao招 zhe遮 zhen珍 zheng蒸 zhi芝 zhong中 zhou舟 zhu珠 zhua抓 zhuai拽
zhuan专 zhuang桩 zhui椎 zhun谆 zhuo捉 zi兹 zong鬃 zou邹 zu租 zuan钻 zui嘴 zun尊 zuo昨
"""
APART = {"了": "le", "着": "zhe", "都": "dou", "地": "de", "长": "chang", "还": "hai", "什": "shen", "阿": "a"}
"""Readings of frequent characters that stand elsewhere."""

FREQUENT = """
的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事
成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此
已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代
内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安
少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光
放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔亲快
近跟照满试干布造华林青选服城商食店房早晚餐饭菜味送酒费钱贵元买卖卡账号码密额款退换货单订递客户网站页软版注册登录支付
贷银息股票涨跌价投收益风险企济增季营润亏损董裁份台床浴室卫洗澡热冷吵静净脏乱差旧破环境态周失推荐离步车飞铁停免助辣咸
甜酸苦米汤肉鱼鸡牛猪蛋奶茶糖油盐香臭硬冰烫足慢迟准联久催骑包装盒筷勺袋漏洒错忘备评星球赛冠练奥篮游戏玩脑屏幕池拍素存
考招专留英语托福雅志愿填影演角歌唱婚恋孩爸妈哥姐弟妹爷爱恨喜怒哀乐笑哭病医药防健康春夏秋冬雨雪云河湖江树花草鸟虫猫狗
左右旁落楼层梯厅窗灯墙板桌椅杯盘碗衣鞋帽颜红黄蓝绿黑灰紫
"""


@cache
def readings() -> tuple[list[bytes], list[str]]:
    """Where each syllable begins in GB 2312, and the syllables."""
    pairs = [(one[-1].encode("gb2312"), one[:-1]) for one in FIRSTS.split()]
    return [code for code, _ in pairs], [name for _, name in pairs]


@cache
def reading(character: str) -> str:
    """The syllable of a character; empty if it is none of the frequent ones.

    >>> reading("退"), reading("款"), reading("了"), reading("龘")
    ('tui', 'kuan', 'le', '')
    """
    if character in APART:
        return APART[character]
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return ""
    starts, names = readings()
    return names[bisect_right(starts, code) - 1] if b"\xb0\xa1" <= code <= b"\xd7\xf9" else ""


@cache
def alike() -> dict[str, str]:
    """Syllable → the frequent characters that are read so."""
    found: dict[str, str] = {}
    for character in dict.fromkeys("".join(FREQUENT.split())):
        found[reading(character)] = found.get(reading(character), "") + character
    return found
