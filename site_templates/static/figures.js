// Figures as files: a section is drawn again as an SVG that needs no page around it, or as a PNG of that.
"use strict";
{
  const NS = "http://www.w3.org/2000/svg";
  const SHAPE = ["fill", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "text-anchor"];
  const TYPE = ["font-family", "font-size", "font-weight"];
  const { source } = document.currentScript.dataset;
  const context = (options) => document.createElement("canvas").getContext("2d", options);
  const [pen, dot] = [context(), context({ willReadFrequently: true })];
  let root, images, missing, clip, edge;

  const grow = ({ x, y, width, height }) => { edge = [Math.min(edge[0], x), Math.min(edge[1], y), Math.max(edge[2], x + width), Math.max(edge[3], y + height)]; };
  const boxOf = ({ x, y, width, height }) => ({ x, y, width, height });
  const make = (tag, values, parent = root) => {
    const node = parent.appendChild(document.createElementNS(NS, tag));
    for (const name in values) node.setAttribute(name, values[name]);
    return node;
  };
  // Only browsers read color(srgb 0.1 0.2 0.3), and filters are the page's: what is seen is written.
  const plain = (colour, filter = "none") => {
    if (!/^(rgb|color)/.test(colour)) return colour;
    dot.clearRect(0, 0, 1, 1);
    Object.assign(dot, { filter, fillStyle: colour }).fillRect(0, 0, 1, 1);
    const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data;
    return a < 255 ? `rgba(${[r, g, b, a / 255]})` : `rgb(${[r, g, b]})`;
  };
  const styled = (style, names) => Object.fromEntries(names.map((name) => [name, plain(style.getPropertyValue(name))]));
  const place = (text, room, own = 0) => parseFloat(text) * (text.endsWith("%") ? (room - own) / 100 : 1);
  const urlOf = (node, style) => ({ img: node.src, image: node.href?.baseVal })[node.localName] || style.backgroundImage.match(/^url\("(.*)"\)$/)?.[1];

  // What a box shows of a picture becomes one of its own. A page on the disk may not read its pictures.
  function picture(url, box, style, position, fit) {
    const [x, y] = [Math.max(box.x, clip.x), Math.max(box.y, clip.y)];
    const seen = { x, y, width: Math.min(box.right, clip.right) - x, height: Math.min(box.bottom, clip.bottom) - y };
    if (seen.width <= 0 || seen.height <= 0) return;
    grow(seen);
    const image = images.get(url);
    const { naturalWidth: w, naturalHeight: h } = image;
    const scale = { cover: Math.max(box.width / w, box.height / h), none: 1 }[fit];
    const size = Array.isArray(fit) ? fit : scale ? [w * scale, h * scale] : [box.width, box.height];
    const [left, top] = position.split(" ");
    const brush = context();
    Object.assign(brush.canvas, { width: 2 * seen.width, height: 2 * seen.height });
    brush.imageSmoothingEnabled = style.imageRendering !== "pixelated";
    brush.filter = style.filter;
    brush.scale(2, 2);
    try {
      brush.drawImage(image, box.x - x + place(left, box.width, size[0]), box.y - y + place(top, box.height, size[1]), ...size);
      make("image", { ...seen, href: brush.canvas.toDataURL(url.endsWith(".jpg") ? "image/jpeg" : "image/png") });
    } catch {
      missing = true;
      make("rect", { ...seen, fill: "none", stroke: "#888" });
    }
  }

  function background(box, style) {
    const shape = { ...boxOf(box), rx: parseFloat(style.borderRadius) || 0 };
    if (!style.backgroundColor.endsWith(", 0)")) make("rect", { ...shape, fill: plain(style.backgroundColor) });
    if (style.backgroundImage.startsWith("linear")) {
      const stops = [...style.backgroundImage.matchAll(/((?:rgb|color)[^)]*\))(?: ([\d.]+))?/g)];
      const id = `g${root.childElementCount}`;
      const gradient = make("linearGradient", { id });
      stops.forEach(([, colour, at], n) => make("stop", { "stop-color": plain(colour, style.filter), offset: at ? at / 100 : n / (stops.length - 1) }, gradient));
      make("rect", { ...shape, fill: `url(#${id})` });
    }
    const url = urlOf({}, style);
    const [w, h] = style.backgroundSize.split(" ");
    if (url) picture(url, box, style, style.backgroundPosition, [place(w, box.width), place(h, box.height)]);
  }

  function line(words, x, y, style) {
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const { width, fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = pen.measureText(words);
    grow({ x, y, width, height: up + down });
    make("text", { x, y: y + up, fill: plain(style.color), ...styled(style, TYPE) }).textContent = words;
  }

  function text(node) {
    const range = document.createRange();
    const lines = [];
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const [box] = range.getClientRects();
      const last = lines.at(-1);
      if (box && last && Math.abs(last[2] - box.y) < 3) last[0] += ` ${word[0]}`;
      else if (box) lines.push([word[0], box.x, box.y]);
    }
    for (const one of lines) line(...one, getComputedStyle(node.parentNode));
  }

  // A drawing keeps its shapes and takes their styles along; what else is in it is drawn as anywhere.
  function drawing(node, box) {
    const copy = root.appendChild(node.cloneNode(true));
    for (const [name, value] of Object.entries(boxOf(box))) copy.setAttribute(name, value);
    grow(box);
    const copies = copy.querySelectorAll("*");
    node.querySelectorAll("*").forEach((one, n) => {
      const style = getComputedStyle(one);
      copies[n].removeAttribute("href");
      if (one.localName === "image") picture(one.href.baseVal, one.getBoundingClientRect(), style, "50% 50%", "cover");
      if (one.localName === "foreignObject") for (const child of one.children) walk(child);
      if (one.matches("image, foreignObject")) copies[n].remove();
      else if (one instanceof SVGGraphicsElement && !one.childElementCount) Object.entries(styled(style, [...SHAPE, ...TYPE])).forEach((pair) => copies[n].setAttribute(...pair));
    });
  }

  function walk(node) {
    if (node.nodeType === Node.TEXT_NODE) text(node);
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(".take, .anchor")) return;
    const style = getComputedStyle(node);
    if (style.display !== "contents" && !node.checkVisibility()) return;
    const box = node.getBoundingClientRect();
    if (node.localName === "svg") return void drawing(node, box);
    if (node.localName === "img") return void picture(node.src, box, style, style.objectPosition, style.objectFit);
    background(box, style);
    // Bars, which the style sheet puts above or below of all else.
    for (const pseudo of ["::before", "::after"]) {
      const bar = getComputedStyle(node, pseudo);
      const height = parseFloat(bar.height);
      const y = pseudo === "::before" ? box.y : box.bottom - height - parseFloat(bar.marginBottom);
      if (bar.display === "block" && height) background(new DOMRect(box.x, y, parseFloat(bar.width), height), bar);
    }
    const outer = clip;
    if (style.overflow === "hidden") clip = box;
    node.childNodes.forEach(walk);
    clip = outer;
  }

  function note(words, style) {
    const width = Math.max(320, edge[2] - edge[0]);
    let [y, row] = [edge[3] + 12, ""];
    const end = () => {
      line(row, edge[0], y, style);
      [y, row] = [y + 1.4 * parseFloat(style.fontSize), ""];
    };
    for (const word of words.trim().split(/\s+/)) {
      pen.font = `${style.fontSize} ${style.fontFamily}`;
      if (row && pen.measureText(`${row} ${word}`).width > width) end();
      row += (row && " ") + word;
    }
    end();
  }

  async function figure(section) {
    [root, images, missing, clip] = [document.createElementNS(NS, "svg"), new Map(), false, new DOMRect(-1e5, -1e5, 2e5, 2e5)];
    edge = [1e5, 1e5, -1e5, -1e5];
    for (const node of section.querySelectorAll("*")) {
      const url = urlOf(node, getComputedStyle(node));
      if (url) images.set(url, Object.assign(new Image(), { src: url }));
    }
    await Promise.allSettled([...images.values()].map((image) => image.decode()));
    walk(section);
    const small = getComputedStyle(document.querySelector(".foot"));
    line(document.querySelector("h1").textContent, edge[0], edge[1] - 30, getComputedStyle(section.querySelector("h2, h3")));
    // A figure without a rule of its own stands below that of another.
    const above = [...document.querySelectorAll(".rule")].filter((rule) => rule.compareDocumentPosition(section) & 4).at(-1);
    if (above && !section.querySelector(".rule")) note(above.textContent, small);
    const [page] = location.protocol.startsWith("http") ? location.href.split(/[?#]/) : location.pathname.split("/").slice(-1);
    note(`${source} ${page}#${section.id}${missing ? " (without pictures, which pages on disk cannot read)" : ""}`, small);
    const [x, y, width, height] = [edge[0] - 16, edge[1] - 16, Math.ceil(edge[2] - edge[0] + 32), Math.ceil(edge[3] - edge[1] + 32)];
    root.prepend(make("rect", { x, y, width, height, fill: getComputedStyle(document.body).backgroundColor }));
    Object.entries({ width, height, viewBox: `${x} ${y} ${width} ${height}` }).forEach((pair) => root.setAttribute(...pair));
    return { width, height, file: new XMLSerializer().serializeToString(root) };
  }

  async function save(section, kind) {
    const { width, height, file } = await figure(section);
    let blob = new Blob([file], { type: "image/svg+xml" });
    if (kind === "png") {
      const image = Object.assign(new Image(), { src: `data:image/svg+xml,${encodeURIComponent(file)}` });
      await image.decode();
      const scale = Math.min(2, 16000 / Math.max(width, height));
      Object.assign(pen.canvas, { width: width * scale, height: height * scale });
      pen.drawImage(image, 0, 0, width * scale, height * scale);
      blob = await new Promise((done) => { pen.canvas.toBlob(done); });
    }
    const name = location.pathname.split("/").at(-1).replace(".html", "");
    Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}-${section.id}.${kind}` }).click();
  }

  for (const section of document.querySelectorAll("section[id]")) {
    if (!section.querySelector("img, svg, .k, .tiles, .numbers") || section.querySelector("section, .tools")) continue;
    const bar = Object.assign(document.createElement("p"), { className: "take", textContent: "Save as " });
    for (const kind of ["svg", "png"]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: kind.toUpperCase(), onclick: () => save(section, kind) });
      button.setAttribute("aria-label", `Save ${section.querySelector("h2, h3").firstChild.textContent.trim()} as ${kind.toUpperCase()}`);
      bar.append(button);
    }
    section.append(bar);
  }
}
