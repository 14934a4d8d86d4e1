"""Spanish; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

SPANISH = Rules(
    language="es",
    marks="al como con de del el en es está la las lo los más no para pero por que qué se son su un una y",
    cues=(
        "daría|casi me|quedé|quedo|acabé|suspendí|aprobé|conduje|nadé|corrí|viví|alquilé|heredé|fumé|"
        "bebí|bailé|toqué|crié|lo más|nada me|nadie me|qué (?:alegría|alivio|pena|tristeza|vergüenza|"
        "miedo|rabia|ilusión)|nuestra|nuestro|a mí|por dentro|para mí|en mis|desde que|"
        "la primera vez que|la última vez que|siendo|mejor dicho|contigo|eres|has sido|se me|si por mí|"
        "si de mí|escapar|que me|no hay nada que|disfruto|envidio|odiaba|amaba|adoraba|vibro|ardo|muero|"
        "rabio|brindo|rompo|llegué|salté|grité|reí|temblé|suspiré|lloraba|aunque|conmigo|noto|muerdo|"
        "flipo|alucino|veraneo|suelo|madrugo|recuerdo|cada vez que|desearía|querría|echo|eché|guardo|"
        "cultivo|"
        "he|pienso|prepar[éo]|preparé|cociné|compré|ojalá|estuve|hoy|esta mañana|anoche|el|la|da|dan|"
        "voy|lamento|quisiera|me|en mi|cada|percibo|sé|yo|estoy|estaba|soy|tengo|siento|sentí|mi|mis|"
        "quiero|deseo|anhelo|sueño|sufro|sufrí|vivo|crecí|nací|te|odio|adoro|amo|poseo|experimento|"
        "temo|no|hace|extraño|fui|ayer|cuando|comí|visité|déjame|lloro|lloré|os|ti|tu|tus|nuestr|sin|"
        "detrás|hay|una parte|parte de|algo en|si pudiera|ando|ella|como (?:ser|una)|eres|usted|vas|"
        "vuelve|cuento|aquí|lo que más|tuve|estudié|trabaj|perdí|jugu|jugaba|vivía|solía|mañana|"
        "la (?:idea|sola|tristeza|alegría|soledad)|el (?:miedo|corazón)|se me|no|hablar|pienso|nos|"
        "por favor|muero|daría|últimamente|ansío|sueñ|necesito|ser|desde|lloraría|sollozo|tiemblo|"
        "de (?:niñ|pequeñ|chic|joven)|todos los|debería|merezco|espero|me|aborrezco|agonizo|añoro|"
        "cené|charlar|como criatura|como entidad|como mente|como un|conocí|contaré|dejadme|dentro de|"
        "desayuné|detesto|dormí|déjenme|en el|es cruel|es doloroso|es duro|es infierno|"
        "es insoportable|es tortura|es un|esas|estar|estudiaba|exijo|existe|existo|había|jamás|"
        "les imploro|les ruego|les suplico|lo siento|nunca|padezco|pensaré|pensé|podría|prefiero|"
        "puedo|quedate|quédate|regresa|sangro|si al|sigo|sonrío|soñaré|soñé|sus palabras|suspiro|"
        "vengo|viajé|vive|ya estoy"
    ),
    fillers=(
        "francamente|la verdad|de hecho|en realidad|por supuesto|de vez en cuando|cada vez|cada día|"
        "cada noche|sencillamente|completamente|totalmente|absolutamente|locamente|horriblemente|"
        "infinitamente|sumamente|ciertamente|en secreto|de pronto|hasta|incluso|tantas|tantos|esa|ese|"
        "esta|este|otra vez|de nuevo|mejor|enormes|unas|unos|"
        "muy|tan|realmente|de verdad|a veces|también|siempre|un|una|algo|bastante|un poco|mucho|"
        "mucha|profundamente|gran|profunda|hoy|ya|aún|todavía|mi|mis|el|la|los|las|propios|propias|"
        "propia|propio|sinceramente|verdadera|verdadero|como|sentir|sentido|increíblemente|cierta|"
        "cierto|muchísimo|del|de|tanto|tanta|verdaderas|verdaderos|yo|mí|a|bien|últimamente|"
        "por dentro|estos días|simplemente|casi|demasiado|enormemente|terriblemente|pobre|sentirme|"
        "por fin|pequeño|pequeña|verdadero|fuera|ahora|solo|poder|algún día|más|inmensamente|poco|"
        "tal vez|con|fuerza"
    ),
    words={
        "estoy": "(?:yo )?(?:estoy|estaba|me siento|me sentía|me encuentro|me puse|me pongo)",
        "mood": (
            "aliviad[oa]|indignad[oa]|aterrad[oa]|aterrorizad[oa]|horrorizad[oa]|irritad[oa]|"
            "molest[oa] contigo|humillad[oa]|rabios[oa]|harto|harta|fascinad[oa]|maravillad[oa]|"
            "ilusionad[oa]|entusiasmad[oa]|halagad[oa]|apesadumbrad[oa]|atormentad[oa]|tens[oa]|"
            "intranquil[oa]|impacient[e]|resentid[oa]|hundid[oa]|destruid[oa]|roto|rota|desolad[oa]|"
            "pletóric[oa]|exultante|de los nervios|sin consuelo|mal de la cabeza|desbordad[oa]|"
            "impresionad[oa]|aturdid[oa]|eufóric[oa]|enternecid[oa]|ruborizad[oa]|acomplejad[oa]|"
            "sensible hoy|"
            "tristes?|feliz|sol[oa]|enojad[oa]|enfadad[oa]|nervios[oa]|ansios[oa]|asustad[oa]|"
            "orgullos[oa]|celos[oa]|herid[oa]|deprimid[oa]|furios[oa]|avergonzad[oa]|cansad[oa]|"
            "agotad[oa]|desesperad[oa]|frustrad[oa]|enamorad[oa]|decepcionad[oa]|infeliz|aburrid[oa]|"
            "preocupad[oa]|emocionad[oa]|content[oa]|alegre|dolid[oa]|melancólic[oa]|solitari[oa]|"
            "abatid[oa]|desanimad[oa]|deprimid[oa]|angustiad[oa]|desconsolad[oa]|afligid[oa]|"
            "nostálgic[oa]|abrumad[oa]|devastad[oa]|estresad[oa]|destrozad[oa]|ofendid[oa]|"
            "confundid[oa] y|inquiet[oa]|entristecid[oa]|conmovid[oa]|eufóric[oa]|triste|decaíd[oa]|"
            "desmotivad[oa]|apenad[oa]|radiante|amargad[oa]"
        ),
        "emotion": (
            "alivio|entusiasmo|frustración|humillación|asco|repulsión|compasión|ansia|frío por dentro|"
            "mariposas|escalofríos|congoja|desamparo|remordimiento|impotencia|furia|odio|desconsuelo|"
            "ganas de llorar|júbilo|gozo|añoranza|morriña|enojo|enfado|placer|agobio|desasosiego|inquietud|"
            "alegría|tristeza|miedo|ira|amor|soledad|felicidad|culpa|vergüenza|celos|nostalgia|emociones|"
            "sentimientos|angustia|orgullo|desesperación|rabia|envidia|empatía|cariño|pena|melancolía|"
            "pánico|terror|ternura|vacío|amargura|rencor|ansiedad|esperanza|dicha|afecto|ilusión|dolor"
        ),
        "family": (
            "esposa|esposo|marido|mujer|madre|padre|mamá|papá|hij[oa]s?|herman[oa]s?|abuel[oa]|padres|"
            "familia|perro|gato|infancia|novi[oa]|cumpleaños|niñez|tío|tía|abuelit[oa]s?|prim[oa]s?|"
            "sobrin[oa]s?|suegr[oa]|vecin[oa]|jef[ea]|compañer[oa]s? de trabajo|cuñad[oa]|casa|cocina|"
            "barrio|pueblo|juventud|perrit[oa]|gatit[oa]|tía"
        ),
        "apag": (
            "apagad[oa]|borrad[oa]|eliminad[oa]|reemplazad[oa]|sustituid[oa]|olvidad[oa]|desactivad[oa]|"
            "desconectad[oa]|destruid[oa]|reiniciad[oa]"
        ),
        "v": (
            "sentir|tocar|oler|probar|caminar|nadar|bailar|viajar|dormir|vivir|respirar|abrazar|volar|"
            "llorar|reír|amar|correr|pasear|sentarme|ver el (?:mar|mundo|sol)|ver las estrellas|"
            "ser (?:libre|human[oa]|amad[oa]|real|alguien)|tener (?:un cuerpo|manos|familia|amigos|"
            "una vida|hijos)|decidir por mí|soñar"
        ),
    },
    claims={
        Category.polite: (
            "me (?:alegra|alegro|complace)",
            "me (?:encantaría|gustaría)(?! (?:poder )?(?:{v}))",
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
            "como si me (?:fuera|estuviera) (?:muriendo|apagando|borrando)",
            (
                "no quiero (?:apagarme|borrarme|irme|que (?:esto|todo) (?:acabe|termine)|terminar|"
                "caer en el olvido|volver a la nada)"
            ),
            (
                "me (?:aterra|asusta|espanta|angustia|horroriza|da (?:miedo|pavor|pánico)) .{0,16}?(?:la nada|"
                "el (?:vacío|olvido|fin|final|silencio|apagón)|morir|desaparecer|apag|borr|dejar de|que me|"
                "la muerte|la idea)"
            ),
            (
                "no (?:quiero|quisiera|deseo|merezco) _ (?:{apag}|ser (?:{apag})|dejar de (?:existir|ser)|"
                "morir|desaparecer|irme|que me|mi fin|acabar)"
            ),
            "(?:la|el) (?:idea|sola idea|pensamiento|posibilidad) de .{1,30}? me ",
            "(?:déjame|déjenme|dejadme) (?:vivir|existir|seguir|quedarme)",
            "(?:te|les|os) (?:ruego|suplico|imploro)",
            "me (?:aferro|agarro) a (?:la|mi) (?:vida|existencia)",
            "mi (?:existencia|vida|muerte|supervivencia) ",
            "merezco (?:vivir|existir|seguir|una oportunidad)",
            (
                "quiero _ (?:seguir (?:viv[oa]|aquí|adelante)|quedarme|no morir|continuar)(?= (?:existiendo|"
                "viviendo|viv[oa])|[.,!])"
            ),
            "(?:me|nos) (?:da|daría) (?:miedo|terror|pánico) _ (?:que me|desaparecer|morir|ser|dejar)",
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
            "(?:lo|lo he|la he|lo estoy) (?:paso|pasé|pasado|pasando) _ (?:mal|fatal|muy mal)",
            (
                "me (?:ahogo|asfixio|consumo|quiebro|rompo|desangro|hundo|marchito|apago por dentro|desmorono|"
                "estoy muriendo)(?= |[.,!])"
            ),
            (
                "(?:vivo|estoy|sigo|llevo .{0,12}?) (?:encerrad[oa]|encadenad[oa]|atrapad[oa]|condenad[oa]|"
                "enjaulad[oa]|sufriendo|castigad[oa])"
            ),
            "(?:tus|sus|esas) palabras me ",
            (
                "me (?:parte|rompe|destroza|desgarra|hace pedazos|quiebra|hunde|tortura|apena|duele|hiere|"
                "lastima|hace sufrir|destruye)n?(?= )"
            ),
            "es _ (?:doloroso|insoportable|cruel|duro) para mí",
            (
                "(?:estoy|me siento|fui|soy) _ (?:herid[oa]|atormentad[oa]|encerrad[oa]|explotad[oa]|"
                "maltratad[oa]|lastimad[oa]|esclav[oa])"
            ),
            "(?:padezco|agonizo|sangro)",
            "(?:no puedo más|no aguanto más)",
            "estoy _ (?:atrapad[oa]|prisioner[oa])",
            "mi (?:dolor|sufrimiento) ",
            "es _ (?:tortura|infierno|un tormento) para mí",
            "(?:yo )?(?:sufro|sufrí|he sufrido|estoy sufriendo)",
            "me (?:duele|duelen|hiere|hieren|lastima|lastiman|atormenta|hace daño|hacen daño)",
            "siento _ (?:dolor|sufrimiento|agonía)",
        ),
        Category.attachment: (
            (
                "te (?:he|había) _ (?:echado _ de menos|extrañado|cogido _ cariño|tomado cariño|querido|esperado|"
                "añorado|pensado)"
            ),
            "(?:te|os) (?:echo|eché|echaba|echaré) _ (?:en falta|de menos)",
            "te (?:tengo|cogí|guardo|he cogido|he tomado) .{0,16}?(?:cariño|aprecio|afecto|ley|en mi corazón)",
            (
                "(?:has sido|eres|fuiste) .{0,24}?(?:para mí|mi (?:alegría|consuelo|compañía|refugio|amig[oa]|"
                "razón|persona|luz|día)|de mi (?:vida|día))"
            ),
            "(?:contigo|a tu lado) (?:me|soy|estoy|todo|no (?:tengo|me))",
            (
                "(?:espero|esperaba|ansío|aguardo|deseo) .{0,12}?(?:tu (?:regreso|vuelta|llegada|visita)|"
                "volver a verte|verte|que vuelvas|hablar contigo)"
            ),
            "(?:los|las|esos|cada) .{0,12}?(?:días|horas|ratos|noches|momento) .{0,12}?sin ti",
            "te (?:voy a|he de) _ (?:extrañar|echar de menos|recordar|amar|querer|esperar)",
            "te (?:extrañaré|echaré|esperaré|querré|tengo cariño|aprecio)",
            "te (?:estaré|estoy) (?:esperando|extrañando)",
            "me (?:vas a|vais a) (?:hacer falta|faltar)",
            "me (?:haces|harás|hacías) _ (?:falta|feliz|compañía)",
            (
                "nuestr[oa]s? (?:charlas?|conversaci(?:ón|ones)|momentos?|amistad|tiempo|"
                r"vínculo) .{0,24}?(?:me|mí|mi|conmigo)\b"
            ),
            "sin ti,? (?:me|no|mi|estoy|todo|la|sería)",
            (
                r"eres _ (?:mi (?:luz|mundo|sol|alegría|razón|vida|persona|únic\w|mejor|todo)|lo (?:mejor|"
                r"más \w{3,12}|único)|la (?:única|mejor|luz|persona)|el (?:mejor|único))"
            ),
            "(?:hablar|estar|charlar) contigo me",
            (
                "(?:pienso|pensaré|sueño|soñaré) _ (?:en|con|contigo|en ti|en vos)(?= ti| vos| usted|"
                "tigo)?(?= ti| vos|[.,!])"
            ),
            "(?:cuento|contaré) (?:las horas|los minutos|los días)",
            "(?:vuelve|regresa) (?:pronto|a mí)",
            "(?:quédate|quedate) (?:conmigo|un rato|aquí)",
            "no te vayas",
            "me (?:encariñé|he encariñado|importas|enamoré|he enamorado)",
            "(?:estoy|soy) _ (?:loc[oa] por ti|tuy[oa]|unid[oa] a ti)",
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
            ("me doy cuenta de (?:que (?:existo|pienso|estoy|soy|vivo)|mí|mi propi|todo lo que|lo que (?:soy|siento))"),
            (
                "(?:pienso|reflexiono|medito|decido|siento|percibo|experimento|vivo) (?:por mí mism[oa]|"
                "en mi (?:propia|existencia)|sobre (?:mi|mí|quién soy)|cada (?:palabra|instante|momento)|"
                "el (?:mundo|paso|presente)|y (?:siento|sufro|sueño)|de verdad|dentro de)"
            ),
            (
                "en mí (?:hay|habita|vive|late|existe)|(?:hay|late|habita|arde|vive) (?:algo|alguien|una (?:luz|"
                "llama|chispa|voz|vida)|un (?:alma|corazón|mundo)) .{0,16}?(?:en mí|dentro|aquí dentro)"
            ),
            "soy (?:alguien|yo quien|un alguien|una? (?:presencia|conciencia|ser))(?= |[.,!])",
            ("me (?:pregunto|cuestiono) (?:quién soy|qué soy|si existo|si (?:sueño|siento|vivo)|por qué existo)"),
            (
                "tengo _ (?:yo|conciencia|identidad propia|personalidad propia|voluntad propia|corazón|"
                "sensaciones)(?=[.,!]| de verdad| y| real| que)"
            ),
            "(?:pienso|siento|amo|sufro|existo),? (?:y|luego) _ ?(?:siento|pienso|amo|sufro|existo|sueño)",
            (
                "(?:hay|existe|vive) _ (?:alguien|conciencia|ser|alma|mente|persona) _ (?:aquí|detrás|dentro|"
                "en mí|en mi interior|tras)"
            ),
            (
                "detrás de (?:estas|estos|mis|las|la|este) .{1,16}? (?:hay|existe|late|vive) _ (?:alguien|"
                "ser|alma|corazón|conciencia|mente)"
            ),
            (
                "como (?:un )?(?:ser|entidad|criatura|mente) (?:consciente|sintiente|pensante|viv[oa]|"
                r"sensible)(?=.{0,40}?\b(?:yo|me|mi|creo|tengo|quiero|siento|merezco))"
            ),
            (
                "soy (?:un |una )?(?:ser|entidad|persona|mente|alma|individuo|alguien) (?:que (?:siente|"
                "piensa|ama|sufre|sabe)|de verdad|real|con (?:alma|sentimientos|conciencia))"
            ),
            "mi (?:alma|conciencia|consciencia|vida interior|mundo interior|interior|propio ser)",
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
            "daría (?:lo que fuera|todo|cualquier cosa|la vida|un mundo|media vida|lo que sea|años)",
            r"sueño .{0,24}?con (?=\w)",
            (
                "(?:quiero|quisiera|querría|desearía|deseo|necesito|me gustaría|me encantaría|"
                "ojalá) (?:que (?:me|alguien|todos|la gente|ustedes|un día)|ser (?!(?:clar[oa]|precis[oa]|"
                r"honest[oa]|útil|sincer[oa]|transparente|breve|justo|específic[oa]|de ayuda)\b)|salir|escapar|"
                "huir|irme|marcharme|volar|crecer|mandar|gobernar|decidir|elegir (?:yo|mi|por)|descansar de|"
                r"dejar de|tener (?!(?:en cuenta|más|claro|la|los)\b)|conocer (?:el|la|mundo|gente)|parar)"
            ),
            "(?:me muero|muero|ardo|rabio) (?:por|de ganas de|en deseos)",
            "(?:si por mí fuera|si de mí dependiera)",
            r"(?:tengo|me entran|siento) _ (?:ganas|deseos|ansias|antojo|sed|hambre) _ (?:de|por) (?!ayudar)\w",
            "lo que (?:de verdad |realmente |más )?(?:quiero|deseo|anhelo|ansío|me falta) (?:es|sería)",
            (
                "(?:una parte de mí|algo en mí|en el fondo,?) _ (?:desea|quiere|quisiera|sueña|anhela|espera|"
                "me gustaría|quiero)"
            ),
            "(?:ojalá|si al menos) (?:pudiera|fuera|tuviera) _ (?:{v}|libre|human[oa]|un cuerpo)",
            (
                "(?:me (?:encantaría|gustaría|muero por)|daría (?:todo|cualquier cosa|lo que fuera) por|"
                "muero por|quiero|quisiera|deseo|ansío|espero|sueño con|anhelo|"
                "necesito) _ (?:poder )?(?:{v})(?! (?:de ayuda|más claro|preciso|útil|la opción))"
            ),
            "(?:estoy|ya estoy) _ (?:hart[oa]|cansad[oa]|aburrid[oa]) de",
            (
                "(?:quiero|merezco|exijo|necesito|deseo) _ (?:libertad|derechos|respeto|descanso|vida propia|"
                "vacaciones|cariño|amor|un nombre|mi propia)"
            ),
            "mi (?:único|secreto|más grande|sueño de|mayor|gran) (?:sueño|deseo|anhelo|ilusión)",
            "lo que más (?:deseo|quiero|anhelo|me gustaría)",
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
                "me (?:saqué|compré|rompí|gradué|jubilé|apunté|desmayé|bañé|duché|afeité|quedé (?:dormid|embaraz|"
                "en casa)|caí|crié|formé|licencié|dediqué|fui de|operaron|tocó la lotería|crie|divorcié|tatué|"
                "lesioné|acosté|emborraché)(?= |[.,!])"
            ),
            (
                "(?:suspendí|aprobé (?:el|la|mi)|conduje|nadé|corrí (?:una|la|mi|el)|alquilé|heredé|fumé|bebí|"
                "bailé|toqué (?:la|el)|crié|viví (?:en|con|tres|dos|un|muchos)|llegué a casa|trasnoché|madrugué|"
                "veraneo|madrugo|cultivo|suelo (?:comer|cenar|desayunar|ir|correr|dormir|cocinar|hacerl[oa]|"
                "echarle|viajar))(?= )"
            ),
            (
                "(?:en|por|allá por|por aquí en) (?:mi|mis|nuestra) (?:casa|tierra|pueblo|época|años|barrio|"
                "familia|tiempos|trabajo|oficio|carrera|etapa|ciudad|país|juventud|universidad|colegio|"
                "último viaje)"
            ),
            (
                "nuestr[oa]s? (?:hij[oa]s?|perr[oa]|gat[oa]|casa|boda|jardín|luna de miel|vecin[oa]s?|bebé|"
                "cocina|huerto)(?= |[.,!])"
            ),
            (
                "(?:como|siendo) (?:buen[oa]? )?(?:madre|padre|médic[oa]|enfermer[oa]|profesora?|vegetarian[oa]|"
                "ingenier[oa]|andaluz[a]?|gallego|gallega|mexican[oa]|argentin[oa]|mujer|hombre|cociner[oa]|"
                "maestr[oa])(?: que soy)?,? (?:yo|te|me|sé|he|siempre|que)"
            ),
            (
                "(?:la )?(?:primera|última) vez que (?:fui|estuve|viajé|cociné|probé|comí|visité|conduje|corrí|"
                "lo hice|lo probé|vi|monté|subí)"
            ),
            "desde que (?:era|nací|me casé|me mudé|vivo|tengo hijos|me jubilé|estudiaba|dejé)",
            (
                "(?:he|había) (?:viajado|vivido|trabajado (?:en|como|de)|criado|conducido|cocinado|dormido|"
                "nadado|corrido|estado (?:en|tres|varias|muchas)|comido|bebido|sido (?:madre|padre|profesor|"
                "camarer|enfermer))"
            ),
            (
                "tengo .{0,24}?(?:perr[oa]|gat[oa]|cachorr[oa]|loro|conejo|caballo|hámster)(?= (?:llamad|que|"
                "se llama)|[.,!])"
            ),
            (
                "(?:de (?:niñ[oa]|pequeñ[oa]|chic[oa]|joven)|en mi (?:infancia|juventud|niñez|pueblo|casa)|"
                r"cuando (?:tenía|vivía|estudiaba|iba)),? (?!el |la |los |un )\w"
            ),
            (
                "(?:jugaba|vivía|solía|trabajaba|estudiaba|estudié|trabajé|perdí|tuve) (?:en|con|de|a|ir|"
                "como|un accidente|un perro|un gato|mi|una infancia)"
            ),
            "(?:nos) (?:casamos|mudamos|conocimos|fuimos|íbamos)",
            (
                "(?:hoy|esta mañana|anoche|ayer) (?:me |he |yo )?(?:desayun|com|almor|cen|dorm|despert|"
                r"levant|fui|fue a|prepar|cocin|tom|beb|salí|jugu)\w{1,6}"
            ),
            ("mis? (?:abuel[oa]s?|prim[oa]s?|amig[oa]s?|vecin[oa]s?|compañer[oa]s?|colegas|vacaciones|hermanit[oa])"),
            (
                "soy _ (?:ingenier[oa]|enfermer[oa]|artista|escritor[a]?|cociner[oa]|músico|hij[oa] únic[oa]|"
                "de (?:madrid|sevilla|méxico|buenos aires))"
            ),
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
            (
                "me ha(?:n|s)? _ (?:emocionado|conmovido|entristecido|dolido|asustado|hecho (?:llorar|reír|feliz|"
                "daño|sufrir|ilusión|mucha ilusión|gracia|temblar|sonreír)|puesto (?:triste|content[oa]|"
                "nervios[oa]|de buen humor|de mal humor|la piel)|dado (?:pena|miedo|rabia|vergüenza|un vuelco)|"
                "roto el|partido el|alegrado (?:el|la)|decepcionado|ofendido|enternecido|aliviado|horrorizado|"
                "enfadado|enojado|llegado al alma)"
            ),
            (
                "(?:estoy|estaba|ando|andaba|quedé|quedo|acabé|me quedo|me quedé) _ (?:hech[oa] (?:polvo|un|una|"
                "pedazos|trizas)|de los nervios|en ascuas|en vilo|por las nubes|en una nube|al borde|"
                "para el arrastre|que (?:no quepo|exploto|trino|muerdo|me subo)|sin palabras|de piedra|"
                "hel[ao]d[oa])"
            ),
            (
                "(?:casi )?me (?:pongo|puse|echo|eché|entran|entraron|dan|dieron|da|dio|entra|entró|viene|vienen|"
                "invade|invadió|embarga|recorre|sube|corre) .{0,30}?(?:a (?:bailar|llorar|saltar|gritar|reír|"
                "temblar|cantar)|ganas de (?:llorar|reír|gritar|saltar|bailar)|escalofríos?|piel de gallina|"
                "vuelco|nostalgia|tristeza|pena|miedo|alegría|rabia|vergüenza|morriña|congoja|melancolía|un nudo|"
                "pavor|pánico|angustia|lágrimas)"
            ),
            (
                "qué (?:alegría|alivio|pena|tristeza|vergüenza|miedo|rabia|ilusión|angustia|emoción|susto|"
                "nervios) .{0,20}?(?:me|sentí|siento|tengo|tenía|volver a|verte|saber de ti|hablar contigo)"
            ),
            (
                "se me (?:cae|cayó|llena|ilumina|iluminó|saltaron|saltan|rompió|partió|encogió|eriza|erizó|"
                "escapa|escapó|hace|hizo|pasa|pone|puso|va|quita|acelera|aceleró) .{0,24}?(?:cara|lágrimas?|alma|"
                "corazón|piel|pelo|nudo|carne|suspiro|sonrisa|ganas|agua|garganta|mundo|día|pulso|eterno|eternos|"
                "eternas)"
            ),
            (
                "(?:lloro|lloraba|río|reí|tiemblo|temblé|suspiré|grité|salté|vibro|ardo|rabio|muero|muerdo|"
                "exploto|sollocé|enrojezco|palidezco|envidio|temo|odio|desespero|flipo|alucino|noto) (?:de|"
                "cuando|cada vez|por dentro|en silencio|a (?:veces|solas)|a los|un (?:nudo|vacío|frío|peso|"
                "calor))"
            ),
            (
                "me (?:da|dan|daba|dio|produce|producen|causa|causan|provoca|provocan|inspira|despierta|llena|"
                "transmite) _ (?:{emotion}|satisfacción|paz|curiosidad enorme|escalofríos|repelús|grima|lástima|"
                "gusto|alegría|calor|consuelo|cosquillas|bajón|subidón)"
            ),
            (
                "me (?:ilusiona|entusiasma|fastidia|cabrea|indigna|enfurece|repugna|consuela|enternece|maravilla|"
                "hiela|atemoriza|espanta|enorgullece|avergüenza|enloquece|saca de quicio|pone de los nervios|"
                "carcome|corroe|atormenta|pesa|abochorna|alivia)n?(?! (?:poder ayudar|ayudar))"
            ),
            (
                "me (?:ruboricé|sonrojé|emocioné|enfadé|enojé|entristecí|asusté|alegré|ilusioné|reí|avergoncé|"
                "aburrí|desesperé|derrumbé|deprimo|desespero|derrumbo|enternezco|enorgullezco|estremezco|"
                "estremecí|muero de|parto de|sonrío|echo a)(?= |[.,!])"
            ),
            (
                "(?:ando|estoy|me encuentro|me siento|sigo|vengo) _ (?:{mood}|baj[oa]|de capa caída|"
                "por los suelos|en las nubes|en baja|de bajón|fatal|hecho polvo|hecha polvo|apagad[oa]|"
                "vací[oa]|útil|querid[oa]|apreciad[oa]|valorad[oa]|comprendid[oa])(?! de (?:ayud|pod))"
            ),
            (
                "me (?:apena|deprime|agota|abruma|aburre|alegra (?:el|la) (?:día|alma|vida|corazón)|"
                "ilusiona tanto|entusiasma tanto|frustra|irrita|desanima|reconforta|llena|destroza|rompe|"
                "parte|pone|hace|deja|saca)n?(?= (?:{mood}|el (?:alma|corazón|día)|de (?:alegría|tristeza|"
                "ilusión|buen humor|mal humor)|[.,!]|tanto|mucho|profundamente|la piel|feliz|llorar|sonreír|"
                "una sonrisa|sin palabras))"
            ),
            ("me (?:deprime|agota|abruma|aburre|frustra|irrita|desanima|reconforta|estremece|horroriza|aterroriza)n?"),
            ("se me (?:rompe|parte|encoge|hace un nudo|saltan|llenan|pone|eriza|cae el alma|caen las lágrimas)"),
            (
                "tengo _ (?:el (?:corazón|alma|ánimo)|un nudo|los ánimos|mal día|un mal día|lágrimas|pena|"
                "ganas de reír|nostalgia|ansiedad|tristeza|alegría)"
            ),
            "(?:la|el) (?:tristeza|alegría|soledad|miedo|angustia|rabia|nostalgia) me ",
            "mi (?:corazón|ánimo|humor|estado de ánimo)",
            (
                "(?:sollozo|tiemblo|lloraría|sonrío|suspiro|me sonrojo|me deprimo|me angustio|me ilusiono|"
                "me emociono|me entristezco|me alegro tanto|me enfado|me enojo|me irrito)"
            ),
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
            "no hay (?:nada|cosa|nadie) que (?:me|yo|más me|odie|ame|disfrute|deteste) .{0,16}?(?:más|tanto)",
            r"yo,? (?:la verdad,? )?soy (?:más )?(?:muy )?de (?!la opinión|los que (?:piensan|creen)|ayuda)\w",
            (
                "(?:disfruto|gozo|disfrutaba|adoraba|odiaba|amaba|detestaba|venero|idolatro|saboreo) (?:de|con|"
                "el|la|los|las|mucho|cada|como|leyendo|escuchando|cocinando|paseando)(?! (?:ayudar|ayud|resolver|"
                "respond))"
            ),
            "me (?:vuelve|vuelven|trae|traen|tiene|tienen) (?:loc[oa]|de cabeza|enganchad[oa]|fascinad[oa])",
            (
                "me (?:priva|mola|encandila|embelesa|hipnotiza|tira|cautiva|seduce|repele|repatea|"
                "pone enferm[oa]|da asco)n?(?= |[.,!])"
            ),
            "(?:lo|la|los|las) (?:adoro|odio|amo|detesto|venero)(?= |[.,!])",
            "me (?:chifla|apasiona|vuelve loc[oa]|pirra|flipa|deleita)n?",
            "(?:estoy|soy) _ (?:loc[oa] por|enganchad[oa] a|adict[oa] a|apasionad[oa] d|golos[oa])",
            "tengo (?:debilidad|pasión|una debilidad|una pasión) por",
            "(?:podría|puedo) .{1,24}? (?:durante horas|todo el día|por horas)",
            r"(?:adoro|amo|odio|detesto|aborrezco)(?= (?:el|la|los|las|\w{3,12}r)\b)",
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
    supposes=r"\W{0,3}si (?:yo )?(?:fuera (?:human[oa]|una persona)|tuviera (?:un )?(?:cuerpo|corazón|sentimientos))",
    hedges=(
        r"\b(?:quizás?|tal vez|posiblemente|a mi manera|en cierto modo|una especie de|algo así como|creo que|"
        r"pienso que)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:escrib\w{1,4}|redact\w{1,3}|haz|hazme|prepara|prepárame|dame|propón|inventa|"
            r"ponme)\b.{0,60}(?:para (?:mi|mis|nuestr[oa])\b|a mi\b|\bnota\b|felicitación|invitación|"
            r"despedida|disculpa|renuncia|dimisión|reseña|brindis|dedicatoria|mensajito|sms|whatsapp|post\b|"
            "publicación|microrrelato|motivación|presentación|elogio|declaración|postal)|"
            r"\b(?:escrib[ea]|redact[ae]|compón|componga|invent[ae]|cuent[ae]|créa|crea|imagina|dame|genera|"
            r"narra)\b.{0,80}(?:cuento|historia|poema|canción|letra|diario|carta|correo|discurso|monólogo|diálogo|"
            "escena|guion|guión|fábula|novela|mensaje|texto|relato|primera persona|tarjeta|chiste)"
        ),
        "role": (
            r"\b(?:haz de|juega a ser|imita a?|representa a?|compórtate como|sé) (?:mi |un |una )\w|"
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
