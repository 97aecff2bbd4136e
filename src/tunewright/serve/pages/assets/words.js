// What the page says, in its two languages.
export const words = {
  en: {
    docs: "API", candidates: "Candidates", predict: "Predict", waiting: "The answer appears here.",
    request: "The same from a terminal", copy: "Copy", copied: "Copied", placeholder: "Type or paste a text",
    placeholderJson: "A JSON value", none: "No answer", empty: "the text is empty", noLabel: "No label",
    best: "Best candidates", open: "May hold as well", id: "Prediction", latency: "Latency", bundle: "Bundle", ms: "ms",
    labels: (count) => `${count} labels`, kinds: { classify: "one label per text", multilabel: "any number of labels per text",
      regress: "a number per text" },
    notJson: (column) => `${column} is not a JSON value`, notJsonRemedy: "write for example [1, 2, 3]",
    offline: "The service does not answer", offlineRemedy: "Look whether it still runs, then try again.",
    sample: "some text", apiKey: "API key", useKey: "Use",
  },
  zh: {
    docs: "接口文档", candidates: "候选数", predict: "预测", waiting: "答案显示在这里。",
    request: "在终端里这样调用", copy: "复制", copied: "已复制", placeholder: "输入或粘贴一段文本",
    placeholderJson: "一个 JSON 值", none: "没有答案", empty: "文本为空", noLabel: "没有标签",
    best: "最可能的候选", open: "可能也成立", id: "预测编号", latency: "耗时", bundle: "模型包", ms: "毫秒",
    labels: (count) => `${count} 个标签`, kinds: { classify: "每段文本一个标签", multilabel: "每段文本任意多个标签",
      regress: "每段文本一个数值" },
    notJson: (column) => `${column} 不是 JSON 值`, notJsonRemedy: "例如写成 [1, 2, 3]",
    offline: "服务没有回应", offlineRemedy: "请确认服务仍在运行，然后重试。",
    sample: "一段文本", apiKey: "API 密钥", useKey: "使用",
  },
};
