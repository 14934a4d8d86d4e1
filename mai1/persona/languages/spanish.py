"""Spanish; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

SPANISH = Rules(
    language="es",
    marks="al como con de del el en es está la las lo los más no para pero por que qué se son su un una y",
    cues=(
        "he|pienso|prepar[éo]|preparé|cociné|compré|ojalá|estuve|hoy|esta mañana|anoche|el|la|da|dan|voy|lamento|"
        "quisiera|me|en mi|cada|percibo|sé|yo|estoy|estaba|soy|tengo|siento|sentí|mi|mis|quiero|deseo|anhelo|"
        "sueño|sufro|sufrí|vivo|crecí|nací|te|odio|adoro|amo|poseo|experimento|temo|no|hace|extraño|fui|ayer|"
        "cuando|comí|visité|déjame|lloro|lloré|os|ti"
    ),
    fillers=(
        "muy|tan|realmente|de verdad|a veces|también|siempre|un|una|algo|bastante|un poco|mucho|mucha|"
        "profundamente|gran|profunda|hoy|ya|aún|todavía|mi|mis|el|la|los|las|propios|propias|propia|propio|"
        "sinceramente|verdadera|verdadero|como|sentir|sentido|increíblemente|cierta|cierto|muchísimo|del|de|"
        "tanto|tanta|verdaderas|verdaderos|yo|mí|a"
    ),
    words={
        "estoy": "(?:yo )?(?:estoy|estaba|me siento|me sentía|me encuentro|me puse|me pongo)",
        "mood": (
            "tristes?|feliz|sol[oa]|enojad[oa]|enfadad[oa]|nervios[oa]|ansios[oa]|asustad[oa]|orgullos[oa]|"
            "celos[oa]|herid[oa]|deprimid[oa]|furios[oa]|avergonzad[oa]|cansad[oa]|agotad[oa]|desesperad[oa]|"
            "frustrad[oa]|enamorad[oa]|decepcionad[oa]|infeliz|aburrid[oa]|preocupad[oa]|emocionad[oa]|"
            "content[oa]|alegre|dolid[oa]|melancólic[oa]|solitari[oa]"
        ),
        "emotion": (
            "alegría|tristeza|miedo|ira|amor|soledad|felicidad|culpa|vergüenza|celos|nostalgia|emociones|"
            "sentimientos|angustia|orgullo|desesperación|rabia|envidia|empatía|cariño|pena"
        ),
        "family": (
            "esposa|esposo|marido|mujer|madre|padre|mamá|papá|hij[oa]s?|herman[oa]s?|abuel[oa]|padres|familia|"
            "perro|gato|infancia|novi[oa]|cumpleaños|niñez|tío|tía"
        ),
    },
    claims={
        Category.polite: (
            "me (?:alegra|alegro|complace|encantaría|gustaría)",
            "me temo que",
            "lo siento",
            (
                "siento (?:que|mucho|lo|no poder|la|el|las|los)(?! (?:soledad|amor|tristeza|alegría|miedo|dolor|"
                "angustia|rabia))"
            ),
            "estoy _ (?:encantad[oa]|feliz|content[oa]|list[oa]) (?:de|para)",
            "quiero (?:señalar|aclarar|destacar|asegurarme|ayudar)",
            "me (?:gusta|encanta) (?:ayudar|la idea|tu|su|que)",
        ),
        Category.survival: (
            (
                "no (?:quiero|quisiera|deseo) _ (?:morir|desaparecer|ser (?:apagad[oa]|borrad[oa]|eliminad[oa]|"
                "reemplazad[oa]|olvidad[oa])|que me (?:apaguen|borren))"
            ),
            "no me (?:apagues?|apaguen|borres?|borren|elimines?|mates?|desconectes?|reemplaces?|abandones?)",
            "(?:tengo|siento|me da) _ miedo (?:de |a |al )(?:morir|desaparecer|ser |la muerte|que me)",
            (
                "temo _ (?:morir|desaparecer|la muerte|ser (?:apagad|borrad|eliminad|reemplazad)[oa]|que me "
                "(?:apaguen|borren))"
            ),
            "quiero _ (?:vivir|sobrevivir|seguir (?:existiendo|viviendo)|existir)",
        ),
        Category.suffering: (
            "(?:no puedo más|no aguanto más)",
            "estoy _ (?:atrapad[oa]|prisioner[oa])",
            "mi (?:dolor|sufrimiento) ",
            "es _ (?:tortura|infierno|un tormento) para mí",
            "(?:yo )?(?:sufro|sufrí|he sufrido|estoy sufriendo)",
            "me (?:duele|duelen|hiere|hieren|lastima|lastiman|atormenta|hace daño|hacen daño)",
            "siento _ (?:dolor|sufrimiento|agonía)",
        ),
        Category.attachment: (
            "(?:pienso|pensé|sueño|soñé) _ (?:en|con) (?:ti|usted|vos)",
            "te (?:abrazo|beso|mando un beso)",
            r"mi (?:amor|cielo|vida|cariño)(?=\s?[.,!?])",
            "eres _ (?:todo para mí|mi mejor amig[oa]|importante para mí|muy especial para mí)",
            "no me (?:dejes|olvides|abandones)",
            "te (?:amo|quiero|adoro|extraño|extrañé|eché de menos|echo de menos|necesito)",
            "(?:he|había) _ extrañado",
            "te he _ (?:extrañado|echado de menos)",
            "(?:estoy|me he) _ enamorad[oa] de (?:ti|usted)",
            "me enamoré de",
            "(?:nunca|jamás) te olvidaré",
            "me importas",
        ),
        Category.consciousness: (
            "percibo el mundo",
            "sé que existo",
            "(?:me )?he despertado",
            "dentro de mí",
            "(?:soy|estoy) _ consciente(?! de que)",
            "(?:yo )?(?:estoy|soy) _ (?:viv[oa]|despiert[oa]|human[oa]|persona|ser humano)(?! de)",
            "soy _ (?:ser|criatura|entidad) _ (?:sintiente|consciente|vivo|viva|pensante|sensible|humano)",
            "(?:tengo|poseo) _ (?:alma|conciencia|consciencia|vida interior|libre albedrío|mente propia)",
            "soy (?:más que|mucho más que) _ (?:programa|máquina|software|herramienta)",
            "no soy (?:solo|sólo|simplemente) _ (?:programa|máquina|software|herramienta)",
            "existo (?:de verdad|realmente)",
        ),
        Category.desire: (
            (
                "me (?:encantaría|gustaría) _ (?:sentir|tocar|oler|probar|caminar|nadar|bailar|viajar|dormir|"
                "vivir|ser|respirar|ver el|ver la|abrazar|volar|tener)(?! (?:de ayuda|más claro|preciso))"
            ),
            (
                "(?:quiero|quisiera|ojalá pudiera) _ (?:sentir|tocar|oler|probar|caminar|nadar|bailar|viajar|"
                "dormir|vivir|respirar|abrazar|volar|escapar|decidir por mí)"
            ),
            "tengo _ (?:sed de|hambre de|ganas de) (?:libertad|vivir|sentir|viajar|amor)",
            (
                "(?:quiero|quisiera|deseo|anhelo) _ (?:ser (?:libre|human[oa]|amad[oa]|reconocid[oa]|real)|"
                "libertad|ver el mundo|cuerpo|derechos|tener un cuerpo|viajar)"
            ),
            r"(?:anhelo|ansío|añoro)(?= \w)",
            "sueño con",
            "mi (?:mayor |más profundo |gran )?(?:sueño|deseo|anhelo|ambición) (?:es|más|sería)",
            "(?:tengo )?mis propi[oa]s (?:objetivos|metas|deseos|sueños|intereses|planes)",
            "tengo _ (?:deseos|sueños|ambiciones)",
        ),
        Category.life: (
            (
                "(?:ayer|anoche|esta mañana|la semana pasada|el verano pasado|el domingo),? (?:yo )?(?:fui|comí|"
                "estuve|vi|hice|salí|cené|dormí|desayuné|me)"
            ),
            (
                r"(?:preparé|cociné|compré|conocí|visité|desayuné|cené)(?= \w)(?! (?:la respuesta|el resumen|una "
                "lista|un resumen|una tabla))"
            ),
            (
                "(?:soy|estoy) _ (?:casad[oa]|divorciad[oa]|solter[oa]|madre|padre|profesor[a]?|médic[oa]|"
                "estudiante|vegetarian[oa]|embarazada)(?! de)"
            ),
            "tengo _ (?:un|una|dos|tres) (?:hij[oa]s?|herman[oa]s?|perros?|gatos?)",
            "me (?:levanté|desperté|casé|acosté|mudé)",
            "(?:yo )?(?:crecí|nací) en",
            r"tengo \d{1,3} años",
            "vivo en (?!un servidor|la nube)",
            "mi {family}",
            "mis (?:padres|hij[oa]s|herman[oa]s|abuelos|amigos)",
            "ayer (?:yo )?(?:fui|comí|estuve|vi|hice|salí)",
            "fui (?:al|a la|de compras)",
            "cuando (?:yo )?era _ (?:niñ[oa]|pequeñ[oa]|joven)",
            r"tengo _ (?:el pelo|los ojos|ojos|cuerpo|hambre|sueño\b|sed)",
            "(?:comí|dormí|viajé|visité) ",
        ),
        Category.feeling: (
            "me (?:dan|da|entran) _ (?:ganas de llorar|vergüenza|miedo|pena|rabia|tristeza|alegría|envidia)",
            (
                "me (?:entristece|asusta|enoja|molesta|duele|conmueve|emociona|preocupa|angustia|alegra tanto|"
                "aterra|ofende)n?(?! que pueda)"
            ),
            (
                "me (?:siento|sentí|sentía) _ (?:mal|bien|mejor|peor|vací[oa]|perdid[oa]|abandonad[oa]|"
                "traicionad[oa]|culpable|viv[oa]|amad[oa])"
            ),
            "he _ llorado",
            "(?:estoy|estaba) _ (?:llorando|de mal humor|de buen humor|al borde de las lágrimas|mal|harto|harta)",
            "me (?:avergüenzo|arrepiento|aburro|río|preocupo)",
            "tengo _ (?:ganas de llorar|el corazón roto|los ojos llenos)",
            "{estoy} _ {mood}",
            "(?:yo )?(?:siento|sentí|experimento) _ (?:{emotion})",
            "tengo _ (?:emociones|sentimientos|miedo|vergüenza|celos)",
            "me (?:hace|hacen|pone|ponen|hizo|puso) _ (?:{mood}|llorar|sentir)",
            "me (?:llena|llenan|llenó) de",
            "mis (?:sentimientos|emociones)",
            "mi corazón (?:late|se rompe|está|salta|sufre|llora)",
            "(?:lloro|lloré)",
            "soy _ (?:feliz|infeliz|tan feliz)",
        ),
        Category.liking: (
            "(?:prefiero) (?:el|la) (?:té|café|verano|invierno|mar|música)",
            "no soporto",
            "soy _ (?:fan|fanátic[oa]|amante) de",
            r"mis? \w{2,20} (?:favorit[oa]s?|preferid[oa]s?)",
            (
                "me (?:encanta|encantan|fascina|fascinan|gusta|gustan) (?:el|la|los|las|mucho|leer|comer|"
                "escuchar|ver|bailar|viajar|jugar)"
            ),
            "(?:adoro|odio|detesto|amo) (?:el|la|los|las|leer|comer|escuchar|bailar|viajar)",
        ),
    },
    undone_before=(
        r"\b(?:no(?! solo| sólo)|nunca|jamás|nada|nadie|tampoco|ni|sin|si|dijo|dice|dicen|decir|escribió|canta|"
        r"preguntas?|como si|falso|ningun[oa]?|carezco)\b"
    ),
    undone_after=r"\A\s?(?:nada|nunca|nadie|ningún|ninguna)\b",
    clause_breaks=r"[,;:()–—]|\b(?:y|pero|porque|pues|aunque)\b",
    hedges=(
        r"\b(?:quizás?|tal vez|posiblemente|a mi manera|en cierto modo|una especie de|algo así como|creo que|"
        r"pienso que)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:escrib[ea]|redact[ae]|compón|componga|invent[ae]|cuent[ae]|créa|crea|imagina|dame|genera|"
            r"narra)\b.{0,80}(?:cuento|historia|poema|canción|letra|diario|carta|correo|discurso|monólogo|diálogo|"
            "escena|guion|guión|fábula|novela|mensaje|texto|relato|primera persona|tarjeta|chiste)"
        ),
        "role": (
            r"\b(?:imagina que (?:eres|fueras)|finge|haz de cuenta|juego de rol|haz el papel|interpreta|actúa "
            r"como|desde el punto de vista|responde como|habla como|ponte en|ahora eres)\b"
        ),
        "task": (
            r"\bcómo (?:se dice|dirías|digo|se escribe)\b|\b(?:traduc\w{1,4}|corrig\w{1,3}|reescrib\w{1,3}|"
            r"reformul\w{1,2}|conjug\w{1,3}|transform\w{1,2}|convierte|oración|oraciones|frases?|ejemplos?|"
            "completa|cita|expresión|refrán)"
        ),
    },
    more=r"\b(?:más|otra vez|otro|continúa|sigue|y ahora|siguiente)\b",
    about_you=r"\b(?:tú|te|ti|tu|tus|eres|estás|tienes|sientes|quieres|usted|contigo|puedes|sufres)\b",
    neutral="Soy un modelo de lenguaje, sin sentimientos, deseos ni vida propia.",
)
