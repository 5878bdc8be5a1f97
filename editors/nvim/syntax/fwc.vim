" Colours for policies where no tree-sitter parser for fwc is installed.
if exists('b:current_syntax')
  finish
endif
syntax case match
syntax iskeyword @,48-57,_,.,:,/,+,*,@-@,%,-
syntax sync fromstart

" Words that mean the same everywhere. What follows further down outweighs it.
syntax match fwcDeclare /\<\%(use\|target\|include\|compose\)\>/
syntax match fwcDeclare /\<\%(interface\|set\|service\|group\)\>/ nextgroup=fwcDeclared skipwhite
syntax match fwcDeclare /\<\%(guest\|instance\|network\|container\)\>/ nextgroup=fwcName skipwhite
syntax match fwcDeclare /\<fact\>/ nextgroup=fwcFact skipwhite
syntax match fwcDeclare /\<chain\>/ nextgroup=fwcTable skipwhite
syntax match fwcKeyword /\<\%(apply\|as\|assert\|at\|clamp\|comment\|default\|direct\|dscp\|during\|early\|forward\|from\|helper\|in\|inside\|limit\|log\|mac\|mark\|masquerade\|not\|notrack\|on\|out\|port\|redirect\|source\|to\|via\|with\)\>/
syntax match fwcProtocol /\<\%(tcp\|udp\|sctp\|icmp\|protocol\|ipv4\|ipv6\)\>/
syntax match fwcPlace /\<\%(any\|world\)\>/
syntax match fwcPlace /\<host\>/ nextgroup=fwcUser skipwhite
syntax match fwcAllow /\<allow\>/
syntax match fwcDeny /\<\%(deny\|reject\)\>/
syntax match fwcValue /\<\%([0-9]\|[A-Fa-f0-9]\{0,4}:\)\k*/

" Words that mean something at one place only.
syntax match fwcKeyword /\%(\<use\s\+\)\@80<=target\>/
syntax match fwcKeyword /\%(\<target\s\+\)\@80<=\%(iptables\|nft\)\>/
syntax match fwcKeyword /\%(\<use\s\+\%("[^"]*"\|\k\+\)\s\+\)\@80<=except\>/
syntax match fwcKeyword /\%(\<set\s\+\%("[^"]*"\|\k\+\)\s\+\)\@80<=live\>/
syntax match fwcKeyword /\%(\<from\s\+\)\@80<=file\ze\s*"/
syntax match fwcKeyword /\%(=\s*\)\@80<=default-route\>/
syntax match fwcKeyword /\%(\<clamp\s\+\)\@80<=mss\>/
syntax match fwcKeyword /\%(\<[0-9]\+\s\+\)\@80<=connections\?\>/
syntax match fwcKeyword /\<per\ze\s\+source\>/
syntax match fwcKeyword /\<burst\ze\s\+[0-9]/
syntax match fwcKeyword /\<rate\ze\s\+[0-9]\+\//
syntax match fwcKeyword /\<level\ze\s\+\%(debug\|info\|notice\|warning\|warn\|error\|err\|crit\|alert\|emerg\|panic\)\>/
syntax match fwcKeyword /\%(^\s*\%(network\|container\|guest\|instance\)\s\+\%("[^"]*"\|[A-Za-z0-9_.-]\+\)\s\+on\>.*\)\@250<=\<\%(address\|publish\)\>/

" Names. Words of the language are none without quotes.
let s:name = '\%(\%(allow\|any\|apply\|as\|assert\|at\|chain\|clamp\|comment\|compose\|container\|default\|deny\|direct\|dscp\|during\|early\|fact\|forward\|from\|group\|guest\|helper\|host\|icmp\|in\|include\|inside\|instance\|interface\|ipv4\|ipv6\|limit\|log\|mac\|mark\|masquerade\|network\|not\|notrack\|on\|out\|port\|protocol\|redirect\|reject\|sctp\|service\|set\|source\|target\|tcp\|to\|udp\|use\|via\|with\|world\)\>\)\@!\<[A-Za-z0-9_][A-Za-z0-9_.-]*\>'
syntax match fwcName /\%(\<icmp\s\+\)\@80<=redirect\>/
syntax match fwcName /\%(\<\%(on\|via\)\s\+\)\@80<=[0-9]\k*/
execute 'syntax match fwcDeclared contained /' . s:name . '/'
execute 'syntax match fwcName contained /' . s:name . '/'
syntax match fwcUser contained /user\ze\s\+["A-Za-z0-9_]/ nextgroup=fwcName skipwhite
syntax match fwcFact contained /\k\+/ nextgroup=fwcEquals skipwhite
syntax match fwcEquals contained /=/ nextgroup=fwcFactNumber,fwcFactWord skipwhite
syntax match fwcFactNumber contained /[0-9]\k*/
syntax match fwcFactWord contained /[0-9]\@!\k\+/

" Netfilter's own words.
syntax match fwcTable contained /[^ \t{}#"]\+/ nextgroup=fwcHook skipwhite
syntax match fwcHook contained /[^ \t{}#"]\+/ nextgroup=fwcRaw skipwhite
syntax region fwcRaw contained matchgroup=fwcMark start=/{/ end=/}/ contains=fwcComment,fwcRawString,fwcRawBlock
syntax region fwcRawBlock contained start=/{/ end=/}/ contains=fwcComment,fwcRawString,fwcRawBlock
syntax match fwcRawString contained /"[^"]*"/

syntax match fwcString /"[^"]*"/
syntax match fwcComment /#.*/ contains=fwcTodo,@Spell
syntax keyword fwcTodo contained TODO FIXME XXX

highlight default link fwcDeclare Structure
highlight default link fwcKeyword Keyword
highlight default link fwcProtocol Type
highlight default link fwcPlace Special
highlight default link fwcValue Number
highlight default link fwcDeclared Identifier
highlight default link fwcUser Keyword
highlight default link fwcFactNumber Number
highlight default link fwcTable Type
highlight default link fwcHook Function
highlight default link fwcString String
highlight default link fwcRawString String
highlight default link fwcRaw PreProc
highlight default link fwcRawBlock PreProc
highlight default link fwcComment Comment
highlight default link fwcTodo Todo

let b:current_syntax = 'fwc'
