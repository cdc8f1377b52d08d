"""What a reply means: opt-out before everything else, then the other intents, in pt, es and en.

In: the words a person sent, and today's date (law time). Out: a `Reading`. An opt-out is read
strictly, because it acts at once: a keyword alone (with courtesies), or a phrase that asks for
silence. "Don't stop the plan" is neither; it goes to a human. What fits nothing is `other`, unsure.
"""

import re
import unicodedata
from datetime import date

from services.sms_sender.promises import amount_in, date_in
from shared.sender.channel import Reading

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
        "mensajes", "mensaje", "messages", "message", "texts", "texting", "sms", "msg", "msgs", "me",
        "enough", "os", "as", "los", "the", "these", "envios", "with",
    }
)  # fmt: skip

_SILENCE = re.compile(
    r"\b(?:"
    # English
    r"(?:stop|quit|cease) (?:\w+ ){0,2}?(?:text|messag|contact|send|call|bother|harass|writ"
    r"|sms)\w*"
    r"|stop (?:all |the |these |your |sending )*(?:texts?|messages?|sms|contact|notifications?)"
    r"|(?:do not|dont|never) (?:ever )?(?:text|message|contact|write|call|sms|bother)"
    r"|(?:do not|dont) send (?:me |us )?(?:any |anymore|more|texts?|messages?|sms)"
    r"|(?:take|get) me off|remove me|remove my (?:number|phone)|delete my (?:number|phone)"
    r"|leave me alone|no more (?:texts?|messages?|sms|contact)|lose my number"
    r"|(?:unsubscribe|opt) me|opt(?:ing)? out|i (?:want|wish|would like) to (?:unsubscribe"
    r"|opt out)"
    r"|revoke (?:my )?consent"
    # Portuguese
    r"|par(?:a|e|em|ar) (?:\w+ )?de (?:me |nos )?(?:mand|envi|lig|escrev|perturb|incomod|contat"
    r"|cobrar)\w*"
    r"|(?:nao|n) (?:quero|desejo|gostaria de) (?:mais )?receber"
    r"|(?:nao|n) (?:me )?(?:mand|envi|contat|ligu|perturb|incomod|escrev)(?:e|em|a|am) ?(?:mais"
    r"|me|nada|mensage\w*|sms|$)"
    r"|me (?:tir|remov|exclu|retir|descadastr)\w* (?:da |dessa |desta |do |de |deste |desse "
    r"|por )?"
    r"|(?:tirem?|removam?|excluam?|retirem?) (?:o )?meu (?:numero|telefone|contato)"
    r"|quero (?:sair|(?:me )?descadastrar)|deix(?:e|em|a) (?:me |eu )?em paz|me deix(?:a|e"
    r"|em) em paz"
    r"|cancel(?:ar|e|em) (?:o |os |meu |minha |a )?(?:recebimento|envios?|inscricao|cadastro"
    r"|mensagens|sms)"
    r"|chega de mensage\w*|sem mais mensage\w*"
    # Spanish
    r"|dej(?:e|en|a) de (?:enviar|mandar|escribir|contactar|molestar|llamar)\w*"
    r"|no (?:me |nos )?(?:envi|mand|escrib|contact|molest|llam)(?:e|en|es|a|an|as) ?(?:mas"
    r"|mensaje\w*|sms|$)"
    r"|no (?:quiero|deseo) (?:recibir )?(?:mas )?(?:mensajes|sms)|no (?:quiero|deseo) recibir"
    r"|(?:dar|den|deme|denme|darme|darse) (?:me )?de baja|quit(?:e|en)me|eliminen?me|borren?me"
    r"|(?:quiten?|eliminen?|borren?) mi (?:numero|telefono)|no mas (?:mensajes|sms)"
    r"|dej(?:e|en)me en paz"
    r")"
)
# Said of the plan, the payment, the deal: somebody asks for something, but not for silence.
_NOT_SILENCE = re.compile(
    r"\b(?:dont|do not|never|nao|no) (?:ever |please )?"
    r"(?:stop|quit|end|cancel\w*|pare\w*|detenga\w*|unsubscribe|remove)\b"
    r"|\b(?:stop|cancel\w*|end|quit|parar|pare|detener) (?:\w+ ){0,2}?"
    r"(?:plan|plano|payments?|pagament\w+|pagos?|agreement|acordo|acuerdo|interest|juros|intereses"
    r"|deal|debt|divida|deuda|order|card|cartao|tarjeta|compra|boleto)\b"
)
_WRONG_PERSON = re.compile(
    r"\b(?:wrong (?:number|person|guy|one)|not (?:him|her|my number|the right person)"
    r"|(?:this|it) (?:is|s) not me|(?:thats|that is|its|im|i am) not (?:me|him|her|mr|mrs|ms)\b"
    r"|(?:dont|do not) know (?:him|her|this person|that person|anyone|who)|no longer (?:his"
    r"|her) number"
    r"|(?:numero|telefone|pessoa|contato) errad[oa]|nao sou (?:eu|esta|essa|esse|este|mais)"
    r"|nao conheco (?:ess|est|ninguem|nenhum|o|a)|(?:e|foi|por) engano|nao (?:e"
    r"|pertence)(?: mais)? (?:dele|dela|a ele|a ela)"
    r"|(?:numero|telefono) equivocado|persona equivocada|no soy (?:yo|esa|ese|esta|este"
    r"|la persona)"
    r"|no conozco a|se equivoc\w+|ya no es (?:su|de))\b"
)
_DISPUTE = re.compile(
    r"\b(?:(?:dont|do not|didnt|never) (?:owe|owed)|not my (?:debt|bill|account)|i dispute"
    r"|disput\w+"
    r"|never (?:bought|signed|had|ordered|opened)|fraud\w*|scam\w*|identity theft|not mine"
    r"|nao (?:devo|reconheco|fiz|comprei|contratei)|(?:divida|cobranca) (?:nao|indevida|errada)"
    r"|contest\w+|golpe|nunca (?:comprei|contratei|fiz|tive|devi|compre|contrate|firme|tuve)"
    r"|no (?:debo|reconozco|compre|contrate)|deuda (?:no es|ajena)|estafa|valor errado"
    r"|no es mi deuda|nao e minha)\b"
)
_NOT_PAID = re.compile(
    r"\b(?:(?:havent|have not|didnt|did not|not|never|cant|cannot|can not|wont"
    r"|will not) (?:yet )?(?:been )?"
    r"(?:paid|pay|afford)|(?:ainda )?nao (?:paguei|foi pago|vou pagar|posso pagar|consigo pagar"
    r"|tenho como pagar"
    r"|tenho dinheiro|vou conseguir)|sem (?:dinheiro|condicoes)|no (?:he pagado|pague"
    r"|puedo pagar|voy a pagar|tengo (?:dinero|plata)"
    r"|tengo como pagar)|(?:dont|do not) have (?:the )?money|lost my job|desempregad[oa]"
    r"|perdi (?:o|meu) emprego)\b"
)
_PAID = re.compile(
    r"\b(?:(?:already|just|have|ive|was|is|been) (?:been )?paid|i paid|paid (?:it|this|already"
    r"|yesterday|today|in full)"
    r"|payment (?:was |has been )?(?:made|sent|done|completed)|^paid$"
    r"|(?:ja )?paguei|(?:foi|ta|esta|esta tudo|ja) (?:pag[oa]|quitad[oa])|quitei"
    r"|pagamento (?:ja )?(?:foi )?(?:feito|efetuado|realizado)"
    r"|segue (?:o )?comprovante|^pago$"
    r"|ya (?:lo |la )?pague|(?:ya )?esta pagad[oa]|(?:lo|la) pague|pague (?:ayer|hoy|el|la)"
    r"|ya (?:lo )?(?:he pagado|cancele)"
    r"|pago (?:hecho|realizado))\b"
)
_PROMISE = re.compile(
    r"\b(?:(?:i )?(?:will|ll|can|could|am going to|m going to|gonna|plan to"
    r"|promise to) (?:make a payment|pay)|ill pay|let me pay"
    r"|pay(?:ing)? (?:you |it |this |that )?(?:on|by|next|tomorrow|today|tonight|in)"
    r"|(?:vou|irei|posso|consigo|quero|pretendo) (?:efetuar o pagamento|pagar|quitar)|pagarei"
    r"|vou fazer (?:o )?(?:pagamento|pix)"
    r"|pago (?:\w+ ){0,3}?(?:amanha|hoje|dia|na|no|ate|segunda|terca|quarta|quinta|sexta|sabado|semana)"
    r"|(?:voy a|puedo|quiero|pienso) (?:pagar|cancelar)\w*|pagare|pago (?:\w+ ){0,3}?(?:manana|hoy"
    r"|el|la|este|esta))\b"
)
_HELP = re.compile(
    r"^(?:help|info|ajuda|ayuda|informacoes|informacion)\b"
    r"|\b(?:need help|help me|call me|speak (?:to|with)|talk to|negotiat\w+|discount"
    r"|instal(?:l)?ments?"
    r"|preciso de ajuda|me ajud\w+|me lig(?:a|ue)\w*|falar com|atendente|negociar|parcel\w+"
    r"|desconto|segunda via|boleto|pix"
    r"|necesito ayuda|ayud\w+|llam(?:e|a|en)me|hablar con|descuento|cuotas)\b"
)

# In this order: what contradicts the claim before what confirms it. None: a promise, read further.
_READINGS: tuple[tuple[re.Pattern[str], Reading | None], ...] = (
    (_NOT_SILENCE, Reading(intent="other", confident=False)),
    (_WRONG_PERSON, Reading(intent="wrong_person", confident=True)),
    (_DISPUTE, Reading(intent="dispute", confident=True, right_party=True)),
    (_NOT_PAID, Reading(intent="help", confident=False, right_party=True)),
    (_PROMISE, None),
    (_PAID, Reading(intent="paid", confident=True, right_party=True)),
    (_HELP, Reading(intent="help", confident=True)),
)


def is_opt_out(text: str) -> bool:
    """Say whether a reply asks for silence, without doubt."""
    words = plain(text)
    return bool(words) and _asks_for_silence(words)


def read_reply(text: str, today: date) -> Reading:
    """Return what a reply means; `confident` False asks for a human."""
    words = plain(text)
    if not words:
        return Reading(intent="other", confident=False)
    if _asks_for_silence(words):
        return Reading(intent="opt_out", confident=True)
    for pattern, reading in _READINGS:
        if pattern.search(words):
            return _promise(text, words, today) if reading is None else reading
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


def _promise(text: str, words: str, today: date) -> Reading:
    """A promise is certain when it names its day; without one a human asks back."""
    day, sure = date_in(text, words, today)
    return Reading(
        intent="promise",
        confident=day is not None and sure,
        right_party=True,
        promise_amount=amount_in(text),
        promise_date=day,
    )
