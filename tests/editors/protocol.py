"""The protocol as another implementation speaks it: order, columns in UTF-16, cancelling, half-typed text."""

import asyncio
import os
import sys

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

URI = "file:///fwc-test/site.fw"
POLICY = "interface wan = eth0\nset office = 192.0.2.0/24\nallow { ssh, ping } from office to host\n"


@pytest_lsp.fixture(
    params=["visual-studio-code", "neovim", "emacs"],
    config=ClientServerConfig(server_command=[os.environ["FWC"], "lsp"]),
)
async def client(request, lsp_client: LanguageClient):
    # What a whole editor would answer.
    lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda _: None)
    parameters = types.InitializeParams(capabilities=client_capabilities(request.param))
    greeting = await lsp_client.initialize_session(parameters)
    lsp_client.encoding = greeting.capabilities.position_encoding
    yield
    await lsp_client.shutdown_session()


def open_text(client, text, uri=URI):
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            types.TextDocumentItem(uri=uri, language_id="fwc", version=1, text=text)
        )
    )


def change(client, version, *changes, uri=URI):
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(uri=uri, version=version), list(changes)
        )
    )


def part(line, start, end, text):
    place = types.Range(types.Position(line, start), types.Position(line, end))
    return types.TextDocumentContentChangePartial(range=place, text=text)


async def told(client, wanted, uri=URI):
    """Waits until the diagnostics that were pushed are such."""
    for _ in range(600):
        if uri in client.diagnostics and wanted(client.diagnostics[uri]):
            return client.diagnostics[uri]
        await asyncio.sleep(0.05)
    raise AssertionError(f"{client.diagnostics}")


def codes(diagnostics):
    return [one.code for one in diagnostics]


@pytest.mark.asyncio
async def test_order(client):
    """A request sees every change that was sent before it, and none that was sent after."""
    open_text(client, "")
    lines = []
    for number in range(1, 40):
        line = f"set s{number} = 192.0.2.{number}\n"
        end = types.Position(len(lines), 0)
        change(client, number + 1, types.TextDocumentContentChangePartial(range=types.Range(end, end), text=line))
        lines.append(line)
        symbols = await client.text_document_document_symbol_async(
            types.DocumentSymbolParams(types.TextDocumentIdentifier(URI))
        )
        assert [symbol.name for symbol in symbols] == [f"s{n}" for n in range(1, number + 1)]


@pytest.mark.asyncio
async def test_columns(client):
    """Columns are counted as the server says: in UTF-16 unless the client offers better."""
    text = 'allow ssh to host log "🧱🧱" levell info\n'
    open_text(client, text)
    diagnostics = await told(client, lambda found: found)
    start = diagnostics[0].range.start.character
    before = text[: text.index("levell")]
    counted = {"utf-8": len(before.encode()), "utf-16": len(before.encode("utf-16-le")) // 2}
    assert start == counted[client.encoding]
    # The same count leads back: the edit replaces exactly that word.
    change(client, 2, part(0, start, start + len("levell"), "level"))
    await told(client, lambda found: not found)


@pytest.mark.asyncio
async def test_cancel(client):
    """A request that is cancelled is answered as such, or was answered already; what comes after is answered."""
    open_text(client, POLICY + "".join(f"allow tcp {n} from 198.51.100.{n % 250} to host\n" for n in range(1, 3000)))
    at = types.HoverParams(types.TextDocumentIdentifier(URI), types.Position(2, 1))
    future = client.protocol.send_request(types.TEXT_DOCUMENT_HOVER, at, msg_id="first")
    client.cancel_request(types.CancelParams(id="first"))
    try:
        await asyncio.wrap_future(future)
    except JsonRpcException as refused:
        assert refused.code == types.LSPErrorCodes.RequestCancelled
    hover = await client.text_document_hover_async(at)
    assert hover is not None


@pytest.mark.asyncio
async def test_half_typed(client):
    """At every letter of a statement there is an answer, and at its end nothing is wrong."""
    open_text(client, POLICY)
    typed = "allow https from office to host via wan"
    for count, letter in enumerate(typed):
        change(client, count + 2, part(3, count, count, letter))
        at = types.TextDocumentIdentifier(URI), types.Position(3, count + 1)
        await client.text_document_completion_async(types.CompletionParams(*at))
        await client.text_document_hover_async(types.HoverParams(*at))
    await told(client, lambda found: not any(one.severity == types.DiagnosticSeverity.Error for one in found))


@pytest.mark.asyncio
async def test_formatting(client):
    """The whole text, and some lines of it, are laid out; half a statement is left as it is."""
    text = 'set   office = 192.0.2.0/24   # 🧱\nallow  ssh from office to host log "🧱"   level  info\nallow   https   fr\n'
    open_text(client, text)
    options = types.FormattingOptions(tab_size=8, insert_spaces=False)
    document = types.TextDocumentIdentifier(URI)
    whole = await client.text_document_formatting_async(types.DocumentFormattingParams(document, options))
    laid_out = 'set office = 192.0.2.0/24  # 🧱\nallow ssh from office to host log "🧱" level info\nallow   https   fr\n'
    assert carried_out(text, whole, client.encoding) == laid_out
    lines = types.Range(types.Position(1, 0), types.Position(2, 0))
    some = await client.text_document_range_formatting_async(
        types.DocumentRangeFormattingParams(document, lines, options)
    )
    first = text.splitlines(keepends=True)[0]
    assert carried_out(text, some, client.encoding) == first + laid_out.split("\n", 1)[1]


def carried_out(text, edits, encoding):
    """A text after edits, with columns counted as the server does."""
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le"}[encoding]
    unit = {"utf-8": 1, "utf-16": 2}[encoding]
    lines = text.splitlines(keepends=True)

    def offset(position):
        before = sum(len(line) for line in lines[: position.line])
        line = lines[position.line] if position.line < len(lines) else ""
        return before + len(line.encode(codec)[: position.character * unit].decode(codec))

    for edit in sorted(edits, key=lambda edit: (edit.range.start.line, edit.range.start.character), reverse=True):
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
