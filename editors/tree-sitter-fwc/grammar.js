/**
 * The language of fwc for editors. `grammar/fwc.pest` is what the compiler reads; a test compares the two over every policy of the
 * project (`cargo test editors`).
 *
 * White space includes line ends, and a line end is also a token of its own: where a statement may end, it ends it, and everywhere
 * else (in lists, between statements) it is white space.
 */

/// <reference types="tree-sitter-cli/dsl" />

const listed = (first, other = first) =>
  seq('{', first, repeat(seq(',', other)), optional(','), '}');

const clauses = ($) => [optional($.from), optional($.to), optional($.via)];

const sentence = ($) => seq(optional($.family), optional($._what), ...clauses($));

const row = (rule) => seq(rule, repeat(seq(',', rule)));

module.exports = grammar({
  name: 'fwc',

  extras: ($) => [/[ \t\r\n\uFEFF]/, $.comment],

  word: ($) => $.identifier,

  rules: {
    source_file: ($) => optional($._statements),

    _statements: ($) =>
      choice(
        seq(repeat1(choice(seq($._line, '\n'), $._block_statement)), optional($._line)),
        $._line,
      ),

    _line: ($) =>
      choice(
        $.rule,
        $.default,
        $.assert,
        $.apply,
        $.change,
        $.masquerade,
        $.forward,
        $.redirect,
        $.use,
        $.target,
        $.include,
        $.compose,
        $.fact,
        $.interface,
        $.set,
        $.service,
        $.network_declaration,
        $.container_declaration,
        alias($._guest_head, $.guest_declaration),
      ),

    _block_statement: ($) => choice($.group, $.scope, $.chain, $.guest_declaration),

    // Rules.
    rule: ($) => seq($._action, sentence($), repeat($._option)),
    _action: ($) =>
      choice(
        field('action', alias('allow', $.allow)),
        field('action', alias(choice('deny', 'reject'), $.deny)),
        seq(field('action', alias('reject', $.deny)), 'with', field('with', $._name)),
        field('action', alias('log', $.log)),
      ),
    default: ($) => seq('default', $._action, sentence($), repeat($._option)),
    assert: ($) =>
      seq(
        'assert',
        field('action', choice(alias('allow', $.allow), alias(choice('deny', 'reject'), $.deny))),
        sentence($),
      ),
    apply: ($) => seq('apply', field('group', $._name)),

    from: ($) => seq('from', $._who),
    to: ($) => seq('to', $._who),
    via: ($) => seq('via', $._cards),
    family: (_) => choice('ipv4', 'ipv6'),

    // Services.
    _what: ($) => choice(alias($._service_list, $.list), $._item),
    _service_list: ($) =>
      listed($._listed_item, choice($._listed_item, alias($._value, $.port))),
    _item: ($) => choice(seq($.transport, optional(row(alias($._value, $.port)))), $._other_item),
    _listed_item: ($) => choice(seq($.transport, optional(alias($._value, $.port))), $._other_item),
    _other_item: ($) =>
      choice(
        seq('icmp', optional(field('icmp', choice($._name, alias('redirect', $.identifier))))),
        seq('protocol', field('protocol', choice($.identifier, alias($._value, $.number)))),
        field('service', $._name),
      ),
    transport: (_) => choice('tcp', 'udp', 'sctp'),

    // Places.
    _who: ($) => choice($._one, seq(optional('not'), alias($._who_list, $.list))),
    _who_list: ($) => listed($._one),
    _one: ($) =>
      seq(
        optional('not'),
        $._place,
        optional(seq('on', $._cards)),
        optional($._at),
        optional(field('view', choice('inside', 'direct'))),
      ),
    _place: ($) =>
      choice(
        'any',
        'world',
        seq('host', optional(seq('user', field('user', $._machine)))),
        seq(choice('container', 'guest', 'instance'), optional(field('machine', $._machine))),
        seq('network', field('network', $._machine)),
        seq('mac', $._mac),
        $._address,
        field('place', $._name),
      ),
    _at: ($) => seq('at', $._address),
    _cards: ($) => choice($._card, alias($._card_list, $.list)),
    _card_list: ($) => listed($._card),

    // Options.
    _option: ($) =>
      choice($.limit, $.log_option, $.during, $.source_port, $.comment_option, alias('early', $.early)),
    limit: ($) =>
      seq(
        'limit',
        choice(
          alias($._value, $.rate),
          seq(alias($._value, $.number), choice('connection', 'connections')),
        ),
        optional(seq('per', 'source')),
        optional(seq('burst', alias($._value, $.number))),
      ),
    log_option: ($) =>
      prec.right(
        seq(
          'log',
          optional($.string),
          repeat(choice(seq('level', $.identifier), seq('rate', alias($._value, $.rate)))),
        ),
      ),
    during: ($) =>
      seq('during', choice(seq(row($.identifier), optional(alias($._value, $.time))), alias($._value, $.time))),
    source_port: ($) => seq('source', 'port', row(alias($._value, $.port))),
    comment_option: ($) => seq('comment', $.string),

    // Changes to packets.
    change: ($) =>
      seq(
        choice(
          seq('mark', alias($._value, $.number)),
          seq('dscp', choice($.identifier, alias($._value, $.number))),
          seq('clamp', 'mss'),
          'notrack',
          seq('helper', field('helper', $._name)),
        ),
        sentence($),
      ),

    // Address translation.
    masquerade: ($) => seq('masquerade', sentence($), optional(seq('as', $._address))),
    forward: ($) =>
      seq(
        'forward',
        optional($.family),
        $._what,
        optional($._at),
        ...clauses($),
        optional($._to_port),
        repeat($._option),
      ),
    redirect: ($) =>
      seq('redirect', optional($.family), $._what, optional($.from), 'to', $._to_port),
    _to_port: ($) => seq('port', alias($._value, $.port)),

    // Files.
    use: ($) =>
      seq(
        'use',
        choice(
          seq('target', $._target),
          seq(field('name', $._name), optional(seq('except', choice(row($._name), alias($._name_list, $.list))))),
        ),
      ),
    _name_list: ($) => listed($._name),
    target: ($) => seq('target', $._target),
    _target: (_) => choice('iptables', 'nft'),
    include: ($) => seq('include', field('path', $.string)),
    compose: ($) => seq('compose', field('path', $.string)),
    fact: ($) =>
      seq(
        'fact',
        field('path', choice($.identifier, alias($._value, $.identifier))),
        '=',
        field('value', choice($.string, $.identifier, alias($._value, $.number))),
      ),

    // Declarations.
    interface: ($) =>
      seq('interface', field('name', $._name), optional(seq('=', choice('default-route', $._cards)))),
    set: ($) =>
      seq(
        'set',
        field('name', $._name),
        optional(choice(seq('=', $._who), seq('from', 'file', field('path', $.string)), 'live')),
      ),
    service: ($) => seq('service', field('name', $._name), '=', $._what),
    network_declaration: ($) =>
      seq('network', field('name', $._machine), 'on', $._cards, optional($._having)),
    container_declaration: ($) =>
      seq(
        'container',
        field('name', $._machine),
        'on',
        field('network', $._machine),
        optional($._having),
        repeat($.publish),
      ),
    _having: ($) => seq('address', $._who),
    publish: ($) => seq('publish', $._item, optional($._at), optional(seq('to', alias($._value, $.port)))),

    // Blocks.
    group: ($) => seq('group', field('name', $._name), $.block),
    scope: ($) => seq(choice($.from, $.to, $.via), optional($.to), optional($.via), $.block),
    block: ($) => seq('{', optional($._statements), '}'),
    guest_declaration: ($) => seq($._guest_head, alias($.gates, $.block)),
    _guest_head: ($) =>
      seq(
        choice('guest', 'instance'),
        field('name', $._machine),
        'on',
        $._cards,
        repeat(choice(seq('mac', $._mac), $._having)),
      ),
    gates: ($) => seq('{', optional(seq($.gate, repeat(seq('\n', $.gate)), optional('\n'))), '}'),
    gate: ($) => seq(field('direction', choice('in', 'out')), choice($.rule, $.apply, $.change)),

    // Netfilter's own words.
    chain: ($) =>
      seq('chain', field('table', $.identifier), field('hook', $.identifier), alias($.raw_block, $.raw)),
    raw_block: ($) => seq('{', repeat($._raw), '}'),
    _raw: ($) => choice($.raw_word, $.raw_string, $._raw_braces),
    _raw_braces: ($) => seq('{', repeat($._raw), '}'),
    raw_word: (_) => token(prec(-1, /[^ \t\r\n{}"#]+/)),
    raw_string: (_) => token(/"[^"\n]*"?/),

    // Words.
    _name: ($) => choice($.identifier, $.string),
    _machine: ($) => choice($.identifier, alias($._value, $.identifier), $.string),
    _card: ($) =>
      choice($.identifier, alias($._card_word, $.identifier), alias($._value, $.identifier), $.string),
    _address: ($) => alias(choice($._value, $._colons), $.address),
    _mac: ($) => alias(choice($._value, $._colons), $.mac_address),

    identifier: (_) => /[A-Za-z_][A-Za-z0-9_.-]*/,
    _card_word: (_) =>
      token(choice(/[A-Za-z_][A-Za-z0-9_.-]*[:@][A-Za-z0-9_.:@-]*[+*]?/, /[A-Za-z_][A-Za-z0-9_.-]*[+*]/)),
    // An address, number, port, rate, time …: what it is, its place says.
    _value: (_) => /[0-9][A-Za-z0-9_.:\/+*@%-]*/,
    _colons: (_) => /[A-Fa-f0-9]{0,4}:[A-Za-z0-9_.:\/+*@%-]*/,
    string: (_) => /"[^"\n]*"/,
    comment: (_) => token(prec(-2, /#[^\n]*/)),
  },
});
