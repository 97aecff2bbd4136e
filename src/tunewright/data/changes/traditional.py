"""Simplified Chinese characters as traditional ones, or the other way round: 訂單 for 订单.

The table holds frequent characters with one usual counterpart; rarer ones stay as they are, as they do in texts that
were converted badly.
"""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import CHINESE, SHARE

LANGUAGES = CHINESE
MEANING = "same"

PAIRS = """
们們 这這 国國 来來 为為 时時 会會 对對 发發 个個 学學 后後 里裡 过過 种種 经經 么麼 现現 当當 没沒 动動 还還 进進
样樣 开開 从從 实實 军軍 无無 与與 长長 机機 业業 将將 两兩 间間 问問 并並 应應 战戰 头頭 体體 见見 产產 关關 点點
给給 东東 声聲 员員 论論 处處 义義 几幾 认認 条條 气氣 题題 别別 变變 总總 电電 数數 报報 结結 务務 场場 计計 统統
区區 队隊 决決 马馬 书書 则則 听聽 却卻 达達 强強 难難 权權 设設 记記 类類 边邊 张張 该該 规規 万萬 觉覺 术術 领領
确確 传傳 师師 观觀 让讓 识識 带帶 导導 争爭 运運 笔筆 亲親 华華 选選 费費 钱錢 贵貴 买買 卖賣 账賬 号號 码碼 额額
换換 货貨 单單 订訂 递遞 户戶 网網 页頁 软軟 册冊 录錄 贷貸 银銀 涨漲 价價 资資 风風 险險 济濟 营營 润潤 亏虧 损損
环環 净淨 乱亂 旧舊 态態 热熱 满滿 荐薦 离離 车車 飞飛 铁鐵 饭飯 面麵 汤湯 鱼魚 鸡雞 猪豬 盐鹽 烫燙 联聯 骑騎 装裝
错錯 备備 评評 练練 奥奧 篮籃 游遊 戏戲 脑腦 尔爾 试試 专專 愿願 爱愛 乐樂 医醫 药藥 疗療 树樹 鸟鳥 猫貓 层層 厅廳
灯燈 墙牆 盘盤 颜顏 红紅 黄黃 蓝藍 绿綠 写寫 说說 话話 请請 谁誰 谢謝 谈談 议議 许許 诉訴 语語 读讀 调調 课課 词詞
译譯 证證 讲講 诚誠 详詳 误誤 访訪 购購 质質 贴貼 赔賠 赶趕 轻輕 较較 输輸 转轉 轮輪 载載 远遠 连連 迟遲 违違 适適
遗遺 邮郵 邻鄰 酱醬 钟鐘 铃鈴 钥鑰 锁鎖 键鍵 镜鏡 闭閉 闲閒 闹鬧 闻聞 阳陽 阴陰 阶階 际際 陆陸 随隨 隐隱 雾霧 韩韓
顺順 须須 预預 频頻 顾顧 饮飲 饱飽 饿餓 馆館 驾駕 验驗 骗騙 惊驚 龙龍 齐齊 龄齡 亚亞 仅僅 众眾 优優 伤傷 伦倫 侧側
债債 倾傾 偿償 储儲 儿兒 兰蘭 养養 兴興 内內 农農 冲衝 减減 凤鳳 创創 删刪 刘劉 刚剛 办辦 励勵 劳勞 势勢 协協 厂廠
压壓 厌厭 参參 双雙 叶葉 吓嚇 吗嗎 启啟 响響 哑啞 团團 园園 围圍 图圖 圆圓 块塊 坏壞 坚堅 垒壘 壮壯 复復 够夠 夺奪
奋奮 奖獎 妈媽 妇婦 娱娛 孙孫 宁寧 宝寶 审審 宽寬 宾賓 寻尋 尽盡 届屆 属屬 岁歲 岛島 币幣 帅帥 帮幫 广廣 庆慶 库庫
废廢 弃棄 弯彎 弹彈 归歸 忆憶 怀懷 恶惡 恼惱 悬懸 惯慣 惨慘 愤憤 懒懶 扑撲 执執 扩擴 扫掃 担擔 拥擁 择擇 挂掛 挥揮
据據 掷擲 摆擺 撑撐 敌敵 断斷 旷曠 显顯 晓曉 暂暫 杂雜 极極 构構 枪槍 标標 栏欄 检檢 楼樓 横橫 欢歡 残殘 毁毀 毕畢
汇匯 汉漢 沟溝 泪淚 泽澤 洁潔 浅淺 测測 浏瀏 涂塗 涩澀 渐漸 温溫 湿濕 滚滾 滞滯 滤濾 灭滅 灵靈 灾災 炉爐 烂爛 烦煩
烧燒 烟煙 爷爺 牵牽 独獨 狭狹 狱獄 狮獅 猎獵 画畫 异異 疯瘋 痒癢 盖蓋 监監 盗盜 矿礦 砖磚 础礎 碍礙 礼禮 祸禍 稳穩
穷窮 窃竊 竞競 笼籠 签簽 简簡 粮糧 紧緊 纪紀 约約 级級 纯純 纸紙 线線 组組 细細 织織 终終 绍紹 绝絕 继繼 绩績 续續
维維 综綜 缓緩 编編 缘緣 缩縮 缴繳 罚罰 罗羅 职職 肃肅 肠腸 肤膚 胁脅 胜勝 胶膠 脉脈 脏髒 脚腳 脱脫 脸臉 腊臘 舰艦
艺藝 节節 芦蘆 苏蘇 苹蘋 范範 荣榮 获獲 虑慮 虽雖 蛮蠻 补補 袭襲 览覽 触觸 誉譽 训訓 讨討 讯訊 询詢 诺諾 谋謀 负負
贡貢 财財 责責 贤賢 败敗 贫貧 赏賞 赛賽 赞贊 赠贈 赢贏 趋趨 跃躍 践踐 辆輛 辈輩 辉輝 辑輯 辞辭 辩辯 迁遷 迹跡 逊遜
郑鄭 酿釀 释釋 针針 钢鋼 铜銅 销銷 锅鍋 锐銳 锦錦 镇鎮 门門 闪閃 阅閱 陈陳 顶頂 项項 颗顆 饰飾 饼餅 驱驅 驶駛 骂罵
鲜鮮 鸣鳴 鸭鴨 鹅鵝 麦麥 齿齒
"""
SIMPLE, OLD = zip(*((pair[0], pair[1]) for pair in PAIRS.split()), strict=True)
TO_OLD = str.maketrans("".join(SIMPLE), "".join(OLD))
TO_SIMPLE = str.maketrans("".join(OLD), "".join(SIMPLE))


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """The whole text is changed, whatever the share: to traditional where it holds more simplified characters."""
    simple, old = sum(one in SIMPLE for one in text), sum(one in OLD for one in text)
    return text.translate(TO_OLD if simple >= old else TO_SIMPLE)
