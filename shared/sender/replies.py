"""What a reply means: opt-out before everything else, then the other intents, in pt, es and en.

In: the words a person sent, from which number, and today (law time). Out: a `Reading`. An opt-out
is read strictly, because it acts at once: a keyword alone (with courtesies), or a phrase that asks
for silence. "Don't stop the plan" is neither; it goes to a human. What fits nothing is `other`,
unsure.
"""

import re
import unicodedata
from datetime import date

from shared.sender.channel import Reading
from shared.sender.promises import amount_in, date_in

TEXT_CHARS_MAX = 2_000  # longer replies are read by their beginning

# Alone, each of these words ends the conversation: carriers' and regulators' lists, and our own
# for Portuguese and Spanish (providers know English ones only).
STOP_WORDS = frozenset(
    {
        "stop", "stopall", "unsubscribe", "end", "quit", "cancel", "revoke", "optout", "remove",
        "arret", "sair", "parar", "pare", "parem", "cancelar", "descadastrar", "remover", "sai",
        "descadastre", "alto", "baja", "cancela", "detener", "salir", "basta", "chega", "stp",
    }
)  # fmt: skip
STOP_PAIRS = ("opt out", "stop all", "no mas", "nao mais", "de baja", "end all", "pare ja")
COURTESIES = frozenset(
    {
        "please", "pls", "plz", "now", "immediately", "it", "this", "all", "everything", "thanks",
        "thank", "you", "ok", "sir", "por", "favor", "agora", "ja", "tudo", "isso", "obrigado",
        "obrigada", "ya", "ahora", "todo", "eso", "gracias", "de", "mensagens", "mensagem",
        "mensajes", "mensaje", "messages", "message", "texts", "texting", "sms", "msg", "msgs",
        "me", "enough", "os", "as", "los", "the", "these", "envios", "with",
    }
)  # fmt: skip


def _any_of(*phrases: str) -> re.Pattern[str]:
    """Compile alternatives that begin and end at word borders of a plain text."""
    return re.compile(rf"\b(?:{'|'.join(phrases)})(?![a-z0-9])")


_SILENCE = _any_of(
    # English
    r"(?:stop|quit|cease) (?:\w+ ){0,2}?(?:text|messag|contact|send|call|bother|harass|writ)\w*",
    r"stop (?:all |the |these |your )*(?:texts?|messages?|sms|contact|notifications?)",
    r"(?:do not|dont|never) (?:ever )?(?:text|message|contact|write|call|sms|bother)",
    r"(?:do not|dont) send (?:me |us )?(?:any|anymore|more|texts?|messages?|sms)",
    r"(?:take|get) me off|remove me|(?:remove|delete|lose) my (?:number|phone)|lose this number",
    r"leave me alone|no more (?:texts?|messages?|sms|contact)",
    r"(?:unsubscribe|opt) me|opt(?:ing)? out|revoke (?:my )?consent",
    r"i (?:want|wish|would like) to (?:unsubscribe|opt out)",
    # Portuguese
    r"par(?:a|e|em|ar) (?:\w+ )?de (?:me |nos )?"
    r"(?:mand|envi|lig|escrev|perturb|incomod|contat|cobrar)\w*",
    r"(?:nao|n) (?:quero|desejo|gostaria de) (?:mais )?receber",
    r"(?:nao|n) (?:me )?(?:mand|envi|contat|ligu|perturb|incomod|escrev)(?:e|em|a|am)"
    r"(?: mais| me| nada| mensage\w*| sms)?",
    r"me (?:tir|remov|exclu|retir|descadastr)\w*",
    r"(?:tirem?|removam?|excluam?|retirem?) (?:o )?meu (?:numero|telefone|contato)",
    r"quero (?:sair|(?:me )?descadastrar)|deix(?:e|em|a) (?:me |eu )?em paz",
    r"me deix(?:a|e|em) em paz|chega de mensage\w*|sem mais mensage\w*",
    r"cancel(?:ar|e|em) (?:o |os |meu |minha |a )?"
    r"(?:recebimento|envios?|inscricao|cadastro|mensage\w*|sms)",
    # Spanish
    r"dej(?:e|en|a) de (?:enviar|mandar|escribir|contactar|molestar|llamar)\w*",
    r"no (?:me |nos )?(?:envi|mand|escrib|contact|molest|llam)(?:e|en|es|a|an|as)"
    r"(?: mas| mensaje\w*| sms)?",
    r"no (?:quiero|deseo) (?:recibir|(?:mas )?(?:mensajes|sms))|no mas (?:mensajes|sms)",
    r"(?:dar|den|deme|denme|darme|darse) (?:me )?de baja|dej(?:e|en)me en paz",
    r"(?:quit(?:e|en)|eliminen?|borren?)me|(?:quiten?|eliminen?|borren?) mi (?:numero|telefono)",
)
# Said of the plan, the payment, the deal: somebody asks for something, but not for silence.
_NOT_SILENCE = _any_of(
    r"(?:dont|do not|never|nao|no) (?:ever |please )?"
    r"(?:stop|quit|end|cancel\w*|pare\w*|detenga\w*|unsubscribe|remove)",
    r"(?:stop|cancel\w*|end|quit|parar|pare|detener) (?:\w+ ){0,2}?"
    r"(?:plan|plano|payments?|pagament\w+|pagos?|agreement|acordo|acuerdo|interest|juros|intereses"
    r"|deal|debt|divida|deuda|order|card|cartao|tarjeta|compra|boleto)",
)
_WRONG_PERSON = _any_of(
    r"wrong (?:number|person|guy|one)|not (?:him|her|my number|the right person)",
    r"(?:this|it) (?:is|s) not me|(?:thats|that is|its|im|i am) not (?:me|him|her|mr|mrs|ms)",
    r"(?:dont|do not) know (?:him|her|this person|that person|anyone|who)",
    r"no longer (?:his|her) number",
    r"(?:numero|telefone|pessoa|contato) errad[oa]|nao sou (?:eu|esta|essa|esse|este|mais)",
    r"nao conheco (?:ess\w+|est\w+|ninguem|nenhum\w*|o|a)|(?:e|foi|por) engano",
    r"nao (?:e|pertence)(?: mais)? (?:dele|dela|a ele|a ela)|aqui nao e (?:ele|ela)",
    r"nao mora aqui|no vive aqui|(?:numero|telefono) equivocado|persona equivocada",
    r"no soy (?:yo|esa|ese|esta|este|la persona)|no conozco a \w+|se equivoc\w+",
    r"ya no es (?:su|de) \w+",
)
_DISPUTE = _any_of(
    r"(?:dont|do not|didnt|never) (?:owe|owed)|not my (?:debt|bill|account)|not mine|disput\w+",
    r"never (?:bought|signed|had|ordered|opened)|fraud\w*|scam\w*|identity theft",
    r"nao (?:devo|reconheco|fiz|comprei|contratei)|(?:divida|cobranca) (?:nao|indevida|errada)",
    r"contest\w+|golpe|nunca (?:comprei|contratei|fiz|tive|devi|compre|contrate|firme|tuve)",
    r"(?:valor|amount|monto|quantia) (?:\w+ )?(?:errad[oa]|wrong|equivocad[oa])|cobro indebido",
    r"no (?:debo|reconozco|compre|contrate)|deuda (?:no es|ajena)|estafa|no es mi deuda",
    r"nao e minha",
)
_NOT_PAID = _any_of(
    r"(?:havent|have not|didnt|did not|not|never|cant|cannot|can not|wont|will not)"
    r" (?:yet )?(?:been )?(?:paid|pay|afford)",
    r"(?:ainda )?nao (?:paguei|foi pago|vou pagar|posso pagar|consigo pagar|tenho como pagar"
    r"|tenho dinheiro|vou conseguir)|sem (?:dinheiro|condicoes)",
    r"no (?:he pagado|pague|puedo pagar|voy a pagar|tengo (?:dinero|plata|como pagar))",
    r"(?:dont|do not) have (?:the )?money|lost my job|desempregad[oa]|perdi (?:o|meu) emprego",
)
_ASKING = _any_of(
    r"how (?:can|do|could) i pay|como (?:\w+ )?(?:faco|posso|puedo|hago)?(?: para| pra)? ?pagar",
    r"(?:can|could) i pay in|(?:posso|puedo) pagar (?:em|en) (?:parcelas|cuotas|\w+ vezes)",
)
_PROMISE = _any_of(
    r"(?:will|ll|can|could|am going to|m going to|gonna|plan to|promise to)"
    r" (?:make a payment|pay|send)|ill (?:pay|send)|let me pay",
    r"pay(?:ing)? (?:you |it |this |that )?(?:on|by|next|tomorrow|today|tonight|in)",
    r"(?:vou|irei|posso|consigo|quero|pretendo|prometo) (?:efetuar o pagamento|pagar|quitar)",
    r"pagarei|vou fazer (?:o )?(?:pagamento|pix)",
    r"pago (?:\w+ ){0,4}?(?:amanha|hoje|dia|em|na|no|ate|segunda|terca|quarta|quinta|sexta|sabado)",
    r"(?:voy a|puedo|quiero|pienso|prometo) (?:pagar|cancelar)\w*|pagare",
    r"pago (?:\w+ ){0,4}?(?:manana|hoy|el|la|este|esta)",
)
_PAID = _any_of(
    r"(?:already|just|have|ive|was|is|been) (?:been )?paid|i paid",
    r"paid (?:it|this|already|yesterday|today|in full|last)|payment (?:was |has been )?"
    r"(?:made|sent|done|completed)",
    r"(?:ja )?paguei|(?:foi|ta|esta|esta tudo|ja) (?:pag[oa]|quitad[oa])|quitei",
    r"pagamento (?:ja )?(?:foi )?(?:feito|efetuado|realizado)|segue (?:o )?comprovante",
    r"ya (?:lo |la )?pague|(?:ya )?esta pagad[oa]|(?:lo|la) pague|pague (?:ayer|hoy|el|la)",
    r"ya (?:lo )?(?:he pagado|cancele)|pago (?:hecho|realizado)",
    r"(?<![\w ])(?:paid|pago)(?![ \w])",  # the word alone
)
_HELP = _any_of(
    r"need help|help me|call me|speak (?:to|with)|talk to|negotiat\w+|discount|instal(?:l)?ments?",
    r"preciso de ajuda|me ajud\w+|me lig(?:a|ue)\w*|falar com|atendente|negociar|parcel\w+",
    r"desconto|segunda via|boleto|pix|necesito ayuda|ayud\w+|llam(?:e|a|en)me|hablar con",
    r"descuento|cuotas",
    r"who is this|quem e|quien es",
    r"(?<![\w ])(?:help|info|ajuda|informacoes|informacion)",  # as the first word
)

# In this order: what contradicts the claim before what confirms it. None: a promise, read further.
_READINGS: tuple[tuple[re.Pattern[str], Reading | None], ...] = (
    (_NOT_SILENCE, Reading(intent="other", confident=False)),
    (_WRONG_PERSON, Reading(intent="wrong_person", confident=True)),
    (_DISPUTE, Reading(intent="dispute", confident=True, right_party=True)),
    (_NOT_PAID, Reading(intent="help", confident=False, right_party=True)),
    (_ASKING, Reading(intent="help", confident=True)),
    (_PROMISE, None),
    (_PAID, Reading(intent="paid", confident=True, right_party=True)),
    (_HELP, Reading(intent="help", confident=True)),
)


def is_opt_out(text: str) -> bool:
    """Say whether a reply asks for silence, without doubt."""
    words = plain(text)
    return bool(words) and _asks_for_silence(words)


def read_reply(text: str, today: date, address: str) -> Reading:
    """Return what a reply means; `confident` False asks for a human.

    `address` is the person's number: its country tells how dates are written there.
    """
    words = plain(text)
    if not words:
        return Reading(intent="other", confident=False)
    if _asks_for_silence(words):
        return Reading(intent="opt_out", confident=True)
    for pattern, reading in _READINGS:
        if pattern.search(words):
            return _promise(text, words, today, address) if reading is None else reading
    return Reading(intent="other", confident=False)


def plain(text: str) -> str:
    """Return a reply in lower case, without accents, punctuation or needless spaces."""
    lowered = text[:TEXT_CHARS_MAX].casefold().replace("'", "").replace("’", "")
    decomposed = unicodedata.normalize("NFKD", lowered)
    kept = "".join(
        [char if char.isalnum() else " " for char in decomposed if char.isascii() or char.isspace()]
    )
    return " ".join(kept.split())


def _asks_for_silence(words: str) -> bool:
    if _NOT_SILENCE.search(words):
        return False
    joined = words
    for pair in STOP_PAIRS:
        joined = joined.replace(pair, "stop")
    left = [word for word in joined.split() if word not in COURTESIES]
    if left and all(word in STOP_WORDS for word in left):
        return True
    return _SILENCE.search(words) is not None


def _promise(text: str, words: str, today: date, address: str) -> Reading:
    """A promise is certain when it names its day; without one a human asks back."""
    day, sure = date_in(text, words, today, month_first=_month_first(address))
    return Reading(
        intent="promise",
        confident=day is not None and sure,
        right_party=True,
        promise_amount=amount_in(text),
        promise_date=day,
    )


def _month_first(address: str) -> bool | None:
    """Say whether dates are written month first where this number is; None when that varies."""
    if address.startswith("+1"):
        return True
    return False if address.startswith(("+5", "+34", "+351")) else None
