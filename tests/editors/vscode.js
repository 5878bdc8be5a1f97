// The extension as VS Code runs it: what of the editor's interface it and its client use is played here, the rest is true. It opens a
// policy, is told what is wrong, changes the text, and is told that all is well.
// node vscode.js EXTENSION FILE, with `fwc` on the path
'use strict';

const fs = require('fs');
const Module = require('module');
const path = require('path');
const url = require('url');

const [extension, file] = process.argv.slice(2);
const say = (text) => process.stdout.write(`${text}\n`);

class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}
class Range {
  constructor(start, end, ...rest) {
    const [from, to] = rest.length ? [new Position(start, end), new Position(...rest)] : [start, end];
    Object.assign(this, { start: from, end: to });
  }
}
class Uri {
  constructor(text) {
    const parsed = new URL(text);
    Object.assign(this, { text, scheme: parsed.protocol.slice(0, -1), authority: parsed.host, path: parsed.pathname, query: '', fragment: '' });
  }
  static parse(text) {
    return new Uri(text);
  }
  static file(place) {
    return new Uri(url.pathToFileURL(place).href);
  }
  get fsPath() {
    return url.fileURLToPath(this.text);
  }
  toString() {
    return this.text;
  }
  with() {
    return this;
  }
}
class Diagnostic {
  constructor(range, message, severity) {
    Object.assign(this, { range, message, severity });
  }
}
class EventEmitter {
  constructor() {
    this.listeners = [];
    this.event = (listener, self) => {
      this.listeners.push(listener.bind(self));
      return { dispose() {} };
    };
  }
  fire(event) {
    return Promise.all(this.listeners.map((listener) => listener(event)));
  }
  dispose() {}
}
class Disposable {
  constructor(dispose) {
    this.dispose = dispose;
  }
  static from(...all) {
    return new Disposable(() => all.forEach((one) => one.dispose()));
  }
}
class TabInputText {
  constructor(uri) {
    this.uri = uri;
  }
}
class CancellationTokenSource {
  constructor() {
    this.token = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose() {} }) };
  }
  cancel() {}
  dispose() {}
}

// What nobody asks about: called, constructed or inherited from, it is there and does nothing.
function nothing(name) {
  const made = function () {};
  return new Proxy(made, {
    get(target, key) {
      if (key === 'prototype' || key in target) return target[key];
      if (typeof key === 'symbol' || key === 'then') return undefined;
      return (target[key] = nothing(`${name}.${key}`));
    },
    apply: () => nothing(`${name}()`),
  });
}
// An object whose missing parts are nothing.
const played = (name, parts) => new Proxy(parts, { get: (target, key) => (key in target || typeof key === 'symbol' ? target[key] : (target[key] = nothing(name)[key])) });

const events = { change: new EventEmitter(), open: new EventEmitter(), close: new EventEmitter() };
const lines = (text) => text.split('\n');
const document = {
  uri: Uri.file(file),
  fileName: file,
  languageId: 'fwc',
  version: 1,
  text: fs.readFileSync(file, 'utf8'),
  isClosed: false,
  getText() {
    return this.text;
  },
  get lineCount() {
    return lines(this.text).length;
  },
};

const collections = [];
const commands = {};
const vscode = played('vscode', {
  Position,
  Range,
  Uri,
  Diagnostic,
  EventEmitter,
  CancellationTokenSource,
  CancellationError: class extends Error {},
  Disposable,
  TabInputText,
  DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
  DiagnosticTag: { Unnecessary: 1, Deprecated: 2 },
  DiagnosticRelatedInformation: class {},
  Location: class {},
  version: '1.91.0',
  env: played('env', { language: 'en', appName: 'played' }),
  extensions: played('extensions', {}),
  commands: played('commands', {
    registerCommand(name, run) {
      commands[name] = run;
      return { dispose() {} };
    },
  }),
  languages: played('languages', {
    match: (selector, opened) => ([].concat(selector).some((one) => one.language === opened.languageId) ? 10 : 0),
    createDiagnosticCollection(name) {
      const known = new Map();
      const collection = { name, set: (uri, list) => known.set(String(uri), list || []), get: (uri) => known.get(String(uri)) || [], delete: (uri) => known.delete(String(uri)), clear: () => known.clear(), has: (uri) => known.has(String(uri)), dispose: () => known.clear() };
      collections.push(collection);
      return collection;
    },
  }),
  window: played('window', {
    activeTextEditor: { document },
    visibleTextEditors: [{ document }],
    tabGroups: played('tabGroups', { all: [{ tabs: [{ input: new TabInputText(document.uri) }] }] }),
    showErrorMessage(text) {
      say(`error ${text}`);
      return Promise.resolve();
    },
  }),
  workspace: played('workspace', {
    textDocuments: [document],
    notebookDocuments: [],
    workspaceFolders: [{ uri: Uri.file(path.dirname(file)), name: 'policies', index: 0 }],
    isTrusted: true,
    onDidOpenTextDocument: events.open.event,
    onDidChangeTextDocument: events.change.event,
    onDidCloseTextDocument: events.close.event,
    getConfiguration: () => ({ get: (_, otherwise) => otherwise, has: () => false, inspect: () => undefined }),
    getWorkspaceFolder: () => undefined,
    createFileSystemWatcher: () => played('watcher', {}),
  }),
});

const load = Module._load;
Module._load = (request, ...rest) => (request === 'vscode' ? vscode : load(request, ...rest));

const shown = () => collections.flatMap((collection) => collection.get(document.uri));

async function until(what, holds) {
  for (let tries = 0; tries < 600; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
}

async function main() {
  const { activate, deactivate } = require(extension);
  await activate(played('context', { subscriptions: [] }));
  say(`commands ${Object.keys(commands)}`);
  await until('a diagnostic', () => shown().length > 0);
  for (const one of shown()) say(`sees ${one.range.start.line}:${one.range.start.character} ${lines(one.message)[0]}`);
  const place = document.text.indexOf('ofice');
  const before = lines(document.text.slice(0, place));
  const start = new Position(before.length - 1, before.at(-1).length);
  document.text = document.text.replace('ofice', 'office');
  document.version += 1;
  const range = new Range(start, new Position(start.line, start.character + 'ofice'.length));
  await events.change.fire({ document, contentChanges: [{ range, rangeOffset: place, rangeLength: 5, text: 'office' }] });
  await until('an empty list', () => shown().length === 0);
  say('sees nothing');
  await commands['fwc.restartServer']();
  say('started again');
  await deactivate();
  say('done');
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
